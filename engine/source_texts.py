"""Texts that are on every machine: the sources of this Python's standard library."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path


def standard_library_texts(max_bytes: int) -> Iterator[str]:
    """Sources of this Python's standard library, in a fixed order, about `max_bytes` of them."""
    library = Path(sysconfig.get_path("stdlib"))
    left = max_bytes
    for path in sorted([*library.glob("*.py"), *library.glob("[a-z]*/*.py")]):
        if path.parent.name in {"test", "tests", "idlelib", "pydoc_data"}:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")[:left]
        left -= len(text)
        yield text
        if left <= 0:
            return

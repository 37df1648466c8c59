"""Which code a process runs: a hash of its source files, and the versions of the libraries below it.

A host keeps the code that it was started with, while the files may have been updated meanwhile. This module
imports no mlx: the host reports the hash, and `anyclaude-tui doctor` compares it with its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("engine", "proxy")  # what a host runs
LIBRARIES = ("mlx", "mlx-lm")


def code_hash(root: Path = ROOT, packages: Sequence[str] = PACKAGES) -> str:
    """Twelve hex digits over the source files of these packages, by name and content; "" if unreadable."""
    digest = hashlib.sha256()
    try:
        for file in sorted(path for name in packages for path in (root / name).rglob("*.py")):
            content = file.read_bytes()
            digest.update(f"{file.relative_to(root).as_posix()}:{len(content)}:".encode())
            digest.update(content)
    except OSError:
        return ""  # it is being updated
    return digest.hexdigest()[:12]


def library_versions(names: Sequence[str] = LIBRARIES) -> dict[str, str]:
    """The installed versions of libraries; one that is missing is left out."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

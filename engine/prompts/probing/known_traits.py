"""The traits of templates that were probed, in this process and in a file.

A name covers what the probes depend on: the template, the added tokens, the form of calls, the versions of
the libraries that render, and the probes themselves.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from engine.process.json_files import KnownValues
from engine.prompts.template_traits import TemplateTraits

TRAITS_FILE = "template-traits.json"

_LOST = "so the chat template is probed at each start"
_MAX_KNOWN = 64
_known: OrderedDict[str, TemplateTraits] = OrderedDict()


def traits_name(source: str, tokens: Mapping[int, str], told: Mapping[str, Any]) -> str:
    """A name for a template's traits; `told` is what else the probes were given."""
    libraries = [version(name) for name in ("transformers", "jinja2", "mlx-lm")]
    parts = [_code(), libraries, source, sorted(tokens.items()), sorted(told.items())]
    return hashlib.sha256(json.dumps(parts, default=str).encode("utf-8", "surrogatepass")).hexdigest()[:32]


class KnownTraits:
    """Traits by name. An unreadable file counts as empty; a failed write is logged."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = KnownValues(file, lost=_LOST, most=_MAX_KNOWN) if file is not None else None

    def get(self, name: str) -> TemplateTraits | None:
        """The traits of this name, or None."""
        if (found := _known.get(name)) is not None:
            _known.move_to_end(name)
            return found
        traits = _traits_of(self._file.get(name)) if self._file is not None else None
        if traits is not None:
            self._remember(name, traits)
        return traits

    def put(self, name: str, traits: TemplateTraits) -> None:
        """Store traits, also in the file if there is one."""
        self._remember(name, traits)
        if self._file is not None:
            self._file.put(name, traits.document())

    def _remember(self, name: str, traits: TemplateTraits) -> None:
        _known[name] = traits
        if len(_known) > _MAX_KNOWN:
            _known.popitem(last=False)


def _traits_of(stored: Any) -> TemplateTraits | None:
    """The traits that `document` wrote; None for anything else."""
    if not isinstance(stored, dict):
        return None
    plain = TemplateTraits()
    try:
        values = {field.name: stored[field.name] for field in dataclasses.fields(TemplateTraits)}
        if values["thinking_text"] is not None:
            start, end = values["thinking_text"]
            values["thinking_text"] = str(start), str(end)
        values["turn_starts"] = frozenset(int(token) for token in values["turn_starts"])
    except (KeyError, TypeError, ValueError):
        return None
    typed = all(
        isinstance(value, type(getattr(plain, name)))
        for name, value in values.items()
        if name not in {"thinking_text", "empty_content"}
    )
    return TemplateTraits(**values) if typed else None


@functools.cache
def _code() -> str:
    """A digest of the code that probes and prepares: other code may find other traits."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()

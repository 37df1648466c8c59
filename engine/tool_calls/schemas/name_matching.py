"""Names of tools and arguments that a model spells differently."""

from __future__ import annotations

import re
from collections.abc import Iterable

_PREFIX = re.compile(r"(?:functions?|tools?|default_api)[.:/]")
_COUNT = re.compile(r":\d+$")  # Kimi numbers its calls


def matching_name(name: str, offered: Iterable[str]) -> str | None:
    """The offered tool that a name means; None for none, and where it could be several."""
    names = list(offered)
    if name in names:
        return name
    bare = name.strip()
    for spelling in (bare, _COUNT.sub("", bare), _PREFIX.sub("", bare, count=1)):
        if spelling in names:
            return spelling
    return only_match(_COUNT.sub("", _PREFIX.sub("", bare, count=1)), names)


def only_match(name: str, offered: Iterable[str]) -> str | None:
    """The only name that differs in nothing but case, `_` and `-`."""
    squashed = squash(name)
    found = [other for other in offered if squash(other) == squashed] if squashed else []
    return found[0] if len(found) == 1 else None


def squash(name: str) -> str:
    """A name without what models confuse: `filePath`, `file-path` and `file_path` are equal."""
    return re.sub(r"[_\-\s]", "", name).casefold()

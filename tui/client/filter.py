"""The filter language of the lists: words that must all occur, `!word` for those that must not."""

from __future__ import annotations

from collections.abc import Callable


def matcher(query: str) -> Callable[[str], bool]:
    """Whether a lower-case text fits `query`; an empty query fits everything."""
    words = query.lower().split()
    wanted = [word for word in words if not word.startswith("!")]
    unwanted = [word[1:] for word in words if word.startswith("!") and len(word) > 1]

    def fits(text: str) -> bool:
        return all(word in text for word in wanted) and not any(word in text for word in unwanted)

    return fits

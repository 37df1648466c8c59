"""How a text is looked for: as an FTS5 query where words decide, else by a pattern."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

_WORD = re.compile(r"[^\W_](?:[^\W_]|[\u0300-\u036f])*")  # with its accents, as FTS5 has it
# Thai, Lao, Burmese, Khmer, kana, Chinese characters.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


@dataclass(frozen=True, slots=True)
class TextPattern:
    """A text to find: `pattern` in what was stored, and `fts` for FTS5 where that finds the same."""

    pattern: re.Pattern[str]
    fts: str | None

    @classmethod
    def of(cls, text: str) -> Self:
        """Words match in order, whatever is between them but letters and digits; the last may go on.

        A text without letters and digits is looked for as it stands, and one of a script without spaces
        anywhere: FTS5 takes a whole sentence of it for a word.
        """
        words = _WORD.findall(text)
        if not words:
            return cls(re.compile(re.escape(text.strip())), None)
        unspaced = _UNSPACED.search(text) is not None
        begin = "" if unspaced else r"(?<![^\W_])"
        pattern = re.compile(begin + r"[\W_]+".join(map(re.escape, words)), re.IGNORECASE)
        return cls(pattern, None if unspaced else '"' + " ".join(words) + '"*')

    def found_in(self, text: str) -> bool:
        """Whether a stored text has it."""
        return self.pattern.search(text) is not None

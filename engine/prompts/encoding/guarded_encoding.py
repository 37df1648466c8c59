"""Tokenization of a prompt with masked spellings of control tokens.

It works with any tokenizer: the text is split behind each stand-in, so that no part contains the whole
spelling, and each part is tokenized alone. If a tokenizer still finds a token (because it normalizes wide
letters, for example), the part is halved until it does not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache

from engine.prompts.encoding.control_tokens import ControlTokens

Encode = Callable[[str], list[int]]

_SHORT, _KNOWN_PARTS = 64, 4096  # the text between two spellings is often the same
_ANCHORS = ("\n", ".", "1", "\u4e2d")
_ORDINARY = ("", "word", "\u0378", "\U000e0fff")  # the last two are unassigned
_MAX_TRIED = 256  # tokens; more are hundreds of reserved ones, unused so far


class GuardedEncoder:
    """Encodes like `encode`, but masked text never becomes a control token.

    `leaks` are the tokens that the tokenizer finds in any text that spells them; found by trial at
    construction.
    """

    def __init__(
        self,
        encode: Encode,
        decode: Callable[[list[int]], str],
        tokens: ControlTokens,
    ) -> None:
        self._encode = encode
        self._tokens = tokens
        self._known_parts = lru_cache(_KNOWN_PARTS)(lambda text: tuple(self._after_anchor(text)))
        # Without the unknown token, and without one that a tokenizer adds to each text.
        self._watched = tokens.ids.difference(*map(encode, _ORDINARY))
        # SentencePiece adds a blank before a text, WordPiece between any two tokens.
        self._needs_anchor = decode(encode("x") + encode("y")) != "xy"
        tried = [text for text in tokens.foremost() if tokens.numbers[text] in self._watched]
        self.leaks = tuple(text for text in tried[:_MAX_TRIED] if self._leaks(text))

    def __call__(self, text: str) -> list[int]:
        """The token ids of a text, with or without stand-ins."""
        parts = self._tokens.parts(text)
        ids = list(self._encode(parts[0])) if parts else []
        for part in parts[1:]:
            ids += self._continued(part)
        return ids if self._only_marks(ids, text) else self._encoded_by_mark(text)

    def _only_marks(self, ids: list[int], text: str) -> bool:
        """Whether all control tokens in `ids` are marks of the template."""
        found = Counter(token for token in ids if token in self._watched)
        if not found:
            return True
        written = Counter(self._tokens.numbers[mark] for mark in self._tokens.pattern.findall(text))
        return found <= written

    def _encoded_by_mark(self, text: str) -> list[int]:
        """The token ids with each mark of the template encoded alone, and no other control token."""
        ids: list[int] = []
        at = 0
        for mark in self._tokens.pattern.finditer(text):
            ids += self._plain(text[at : mark.start()], first=at == 0)
            ids.append(self._tokens.numbers[mark[0]])
            at = mark.end()
        return ids + self._plain(text[at:], first=at == 0)

    def _plain(self, text: str, *, first: bool) -> list[int]:
        ids: list[int] = []
        for part in self._tokens.parts(text):
            ids += self._halved(part, first=first and not ids)
        return ids

    def _halved(self, text: str, *, first: bool) -> list[int]:
        ids = list(self._encode(text) if first else self._continued(text))
        if len(text) < 2 or self._watched.isdisjoint(ids):
            return ids
        middle = len(text) // 2
        return self._halved(text[:middle], first=first) + self._halved(text[middle:], first=False)

    def _continued(self, text: str) -> Sequence[int]:
        """The ids of a text that continues another one."""
        return self._known_parts(text) if len(text) <= _SHORT else self._after_anchor(text)

    def _after_anchor(self, text: str) -> list[int]:
        if self._needs_anchor:
            for anchor in _ANCHORS:
                lead = self._encode(anchor)
                ids = self._encode(anchor + text)
                if lead and ids[: len(lead)] == lead:
                    return ids[len(lead) :]
        return self._encode(text)

    def _leaks(self, token: str) -> bool:
        return not self._watched.isdisjoint(self(f"a {self._tokens.masked(token)} b"))

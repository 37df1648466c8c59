"""Tokenization of growing prompts: text is tokenized only once.

Tokenizers split a text at its special tokens first, so that the ids between two of them depend on nothing
else. So a chat prompt is tokenized by segment, each from one turn's start mark to the next, and the ids of
each segment are cached.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence

from engine.prompts.encoding.guarded_encoding import Encode

_REMEMBERED_CHARACTERS = 16 << 20  # with their ids at most about 100 MB
_PROBES = ("word", " word", "word ", "\nword\n", "  ", "\t", "wörd日本", "")


class SegmentEncoder:
    """Encodes like `encode`, and caches segments that begin with one of `marks`.

    If `encode` does not treat segments independently (because a mark consumes blanks around it, for example),
    it is called with the whole text each time. This is tested at construction.
    """

    def __init__(
        self,
        encode: Encode,
        marks: Collection[str],
        added: Collection[str] = (),
        *,
        remembered_characters: int = _REMEMBERED_CHARACTERS,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`added` are all tokens that the tokenizer finds before it splits the rest."""
        self.spent_s = 0.0
        self._clock = clock
        self._encode = encode
        self._room = remembered_characters
        self._cache: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        self._starts = _pattern(
            [
                mark
                for mark in marks
                if _encodes_independently(encode, mark) and not any(_hides(token, mark) for token in added)
            ]
        )

    def __call__(self, text: str) -> list[int]:
        """The token ids of a whole prompt; adds to `spent_s`."""
        began = self._clock()
        tokens = self._tokens(text)
        self.spent_s += self._clock() - began
        return tokens

    def _tokens(self, text: str) -> list[int]:
        if self._starts is None:
            return self._encode(text)
        tokens: list[int] = []
        at = 0
        for match in self._starts.finditer(text):
            if match.start() > at:
                tokens += self._segment(text[at : match.start()])
                at = match.start()
        tokens += self._segment(text[at:])
        return tokens

    def _segment(self, text: str) -> Sequence[int]:
        found = self._cache.pop(text, None)
        if found is None:
            found = tuple(self._encode(text))
            self._room -= len(text)
        self._cache[text] = found
        while self._room < 0 and self._cache:
            oldest, _ = self._cache.popitem(last=False)
            self._room += len(oldest)
        return found


def _pattern(marks: Sequence[str]) -> re.Pattern[str] | None:
    longest_first = sorted(marks, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if marks else None


def _hides(token: str, mark: str) -> bool:
    """Whether the tokenizer may see `token` where `mark` begins."""
    overlaps = any(token.endswith(mark[:size]) for size in range(1, len(mark)))
    return token != mark and (mark in token or overlaps)


def _encodes_independently(encode: Encode, mark: str) -> bool:
    """Whether the encodings before and behind a mark are the same with and without it."""
    return all(
        encode(before + mark + behind) == encode(before) + encode(mark + behind)
        for before in _PROBES
        for behind in _PROBES
    )

"""Which tokens spelled the calls of an answer."""

from __future__ import annotations

_KEPT_TOKENS = 64  # of text: those that may still turn out to spell an opening mark


class TokenSpelling:
    """Which tokens spelled which text, for the raw text of calls."""

    def __init__(self) -> None:
        self._ends: list[tuple[int, int]] = []  # a token and where its text ends
        self._spelled = 0  # letters that all tokens so far have
        self._read = 0  # letters of them that were read
        self._begun = 0

    def add(self, token: int, letters: int, *, keep: bool) -> None:
        self._spelled += letters
        self._ends.append((token, self._spelled))
        if not keep and len(self._ends) > 2 * _KEPT_TOKENS:
            del self._ends[:-_KEPT_TOKENS]

    def read(self, letters: int) -> None:
        """So many more letters were read; fewer than none where some are to be read again."""
        self._read += letters

    def begin(self, letters: int) -> None:
        """A call begins so many letters before the place that was read last."""
        self._begun = self._read - letters

    def end(self) -> tuple[int, ...]:
        """The tokens of the call that ends at the place that was read last."""
        tokens: list[int] = []
        start = 0
        for token, end in self._ends:
            if end > self._begun and start < self._read:
                tokens.append(token)
            start = end
        self._begun = self._read
        return tuple(tokens)

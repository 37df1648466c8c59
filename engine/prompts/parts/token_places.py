"""Where the tokens of a text begin in it, by the bytes of each token of the vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


class TokenPlaces:
    """Finds places in the tokens of a text, and back. Pure, so for any thread.

    Some tokenizers change a text, by a blank before it for example: where the bytes of its tokens are not
    those of the text, no place is known.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._spelled = getattr(getattr(tokenizer, "_detokenizer", None), "token_bytes", None) or []
        self._sizes = np.array([len(one) for one in self._spelled], dtype=np.int64)

    def text_before(self, text: str, tokens: Sequence[int], position: int) -> str | None:
        """The beginning of `text` that the tokens before `position` spell; None: not known."""
        if not position or not len(self._sizes):
            return None
        size = int(self._ends(tokens[:position])[-1])
        data = _bytes(text[: size + 64])  # a character has a byte at least
        behind = self._spelled[tokens[position]] if position < len(tokens) else b""
        return data[:size].decode("utf-8", "ignore") if data[size:].startswith(behind[:64]) else None

    def tokens_at(self, text: str, tokens: Sequence[int], characters: Sequence[int]) -> list[int]:
        """The tokens that characters of `text`, in ascending order, lie in; `tokens` spell all of it."""
        ends, places, at, size = self._ends(tokens), list[int](), 0, 0
        for character in characters:
            size += len(_bytes(text[at:character]))
            at = character
            places.append(int(np.searchsorted(ends, size, side="right")))
        return places

    def _ends(self, tokens: Sequence[int]) -> npt.NDArray[np.int64]:
        """The byte that each token ends before."""
        ends: npt.NDArray[np.int64] = np.cumsum(np.take(self._sizes, tokens, mode="clip"))
        return ends


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")

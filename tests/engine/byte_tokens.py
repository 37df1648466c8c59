"""A tokenizer of bytes and a few longer tokens, without a model, for the tests of grammars."""

from __future__ import annotations

from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

END = "<|im_end|>"
LONGER = (
    "<tool_call>",
    "</tool_call>",
    "<think>",
    "</think>",
    "<|im_start|>",
    'call>\n{"name": "',  # a token that begins inside of a mark and reaches into the call
    ' "}}',
    "hello",
)


class _Wrapped:
    """What mlx-lm's wrapper has inside: a fast tokenizer."""

    def __init__(self, backend: Any) -> None:
        self.backend_tokenizer = backend


class ByteTokens:
    """As mlx-lm's wrapper, as far as grammars need it. Token 0 ends answers; each byte is a token."""

    def __init__(self) -> None:
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        vocabulary = {END: 0} | {letter: number for number, letter in enumerate(alphabet, 1)}
        plain = Tokenizer(models.BPE(vocabulary, []))
        plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        plain.decoder = decoders.ByteLevel()
        plain.add_special_tokens([END, "<|im_start|>"])
        plain.add_tokens([text for text in LONGER if text != "<|im_start|>"])
        self._tokenizer = _Wrapped(plain)
        self._plain = plain
        self.eos = frozenset({0})

    def spelled(self, text: str) -> list[int]:
        """One token a byte, but for marks and the other longer tokens that stand in the text."""
        return list(self._plain.encode(text, add_special_tokens=False).ids)

    def bytes_only(self, text: str) -> list[int]:
        """One token a byte."""
        alphabet = _byte_letters()
        return [self._plain.token_to_id(alphabet[byte]) for byte in text.encode()]

    def text(self, tokens: list[int]) -> str:
        return str(self._plain.decode(tokens, skip_special_tokens=False))


def _byte_letters() -> dict[int, str]:
    """GPT-2's letters for bytes, which byte-level tokenizers use."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {
        byte: chr(256 + number) for number, byte in enumerate(others)
    }

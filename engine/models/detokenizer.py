"""Streams tokens as text, with a detokenizer that was tested when the model loaded.

mlx-lm chooses the detokenizer by the decoder in tokenizer.json. That decoder may not match the tokenizer:
conversions of Tekken have a sentencepiece decoder with a byte-level vocabulary, so that answers contain `Ġ`
in place of blanks. So texts are encoded and decoded, and a detokenizer that restores them is chosen.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mlx_lm.tokenizer_utils import NaiveStreamingDetokenizer, SPMStreamingDetokenizer
from tokenizers import decoders

PROBES = (
    "Hello, how can I help?",
    "    return self",
    "é 🙂 漢字 Ж",
    "a\n\n\tb  c",
    "don't stop , no .",
)
"""Texts that a detokenizer must restore: blanks, line breaks, characters of several bytes."""


class ByteDetokenizer:
    """Streams one answer of a byte-level tokenizer; characters arrive whole, leading blanks are kept."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokens = _token_bytes(tokenizer)
        # Some tokenizers add a blank before each text; it does not belong to the answer.
        self._trims = str(tokenizer.decode(tokenizer.encode("a", add_special_tokens=False))).startswith(" ")
        self.reset()

    def reset(self) -> None:
        """Begin another answer."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._segment = ""
        self._begun = not self._trims

    def add_token(self, token: int) -> None:
        """Take one more token; padded models have more tokens than their tokenizers."""
        text = self._decoder.decode(self._tokens[token] if token < len(self._tokens) else b"")
        if text and not self._begun:
            self._begun, text = True, text.removeprefix(" ")
        self._segment += text

    def finalize(self) -> None:
        """Flush an incomplete character."""
        self._segment += self._decoder.decode(b"", final=True)

    @property
    def last_segment(self) -> str:
        """The text that became readable since the last call."""
        segment, self._segment = self._segment, ""
        return segment


def select_decoding(tokenizer: Any) -> str:
    """Give mlx-lm's wrapper a working decoder and detokenizer; returns what was wrong, as a sentence."""
    fault = _select_decoder(tokenizer)
    right = [
        (ids, text) for ids, text, decoded in _round_trips(tokenizer.decode, tokenizer) if decoded == text
    ]
    for make in (ByteDetokenizer, None, SPMStreamingDetokenizer, NaiveStreamingDetokenizer):
        try:
            detokenizer = tokenizer.detokenizer if make is None else make(tokenizer)
            works = all(_same(_streamed(detokenizer, ids), text) for ids, text in right)
        except Exception:  # each supports only some vocabularies
            continue
        if works and (right or make is None):
            if make is not None:
                tokenizer._detokenizer = detokenizer
            break
    return fault


def _select_decoder(tokenizer: Any) -> str:
    backend = getattr(getattr(tokenizer, "_tokenizer", None), "backend_tokenizer", None)
    if backend is None or not hasattr(backend, "decoder"):
        return ""
    own = backend.decoder
    best, most = own, _score(backend)
    for candidate in _decoders():
        if most == len(PROBES):
            break
        backend.decoder = candidate
        if (score := _score(backend)) > most:
            best, most = candidate, score
    backend.decoder = best
    if best is own:
        return ""
    return "the decoder in tokenizer.json does not restore what its tokenizer encodes; another one is used"


def _decoders() -> Iterator[Any]:
    yield decoders.ByteLevel()
    joined = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    yield decoders.Sequence([*joined, decoders.Strip(content=" ", left=1, right=0)])
    yield decoders.Sequence(joined)
    yield decoders.Metaspace()


def _score(backend: Any) -> int:
    def decode(ids: list[int], *, skip_special_tokens: bool) -> str:
        return str(backend.decode(ids, skip_special_tokens=skip_special_tokens))

    return sum(_same(decoded, text) for _, text, decoded in _round_trips(decode, backend))


def _same(decoded: str, text: str) -> bool:
    """Whether two texts are equal except for leading blanks, which many tokenizers add or remove."""
    return decoded.lstrip(" ") == text.lstrip(" ")


def _round_trips(decode: Callable[..., str], tokenizer: Any) -> Iterator[tuple[list[int], str, str]]:
    """Each probe as tokens, as text, and decoded again; a probe that raises is left out."""
    for text in PROBES:
        try:
            encoded = tokenizer.encode(text, add_special_tokens=False)
            ids = list(getattr(encoded, "ids", encoded))
            yield ids, text, decode(ids, skip_special_tokens=False)
        except Exception:
            continue


def _streamed(detokenizer: Any, ids: Sequence[int]) -> str:
    detokenizer.reset()
    text = ""
    for token in ids:
        detokenizer.add_token(token)
        text += detokenizer.last_segment
    detokenizer.finalize()
    return text + str(detokenizer.last_segment)


def _token_bytes(tokenizer: Any) -> list[bytes]:
    """The bytes of each token of a byte-level vocabulary; added tokens are spelled literally."""
    letters = _byte_letters()
    added = getattr(tokenizer, "added_tokens_decoder", None) or {}

    def spelled(number: int, token: str | None) -> bytes:
        if number in added or token is None:
            return str(added[number].content).encode() if number in added else b""
        return b"".join(letters.get(letter) or letter.encode() for letter in token)

    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    return [spelled(number, token) for number, token in enumerate(tokens)]


def _byte_letters() -> dict[str, bytes]:
    """The characters that represent bytes in GPT-2's vocabulary and all byte-level ones since.

    Printable bytes represent themselves, the others are the characters from U+0100 on, in order.
    """
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(byte): bytes([byte]) for byte in printable}
    return letters | {chr(256 + place): bytes([byte]) for place, byte in enumerate(others)}

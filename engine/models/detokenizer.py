"""Streams tokens as text, with a detokenizer that was tested when the model loaded.

mlx-lm chooses the detokenizer by the decoder in tokenizer.json. That decoder may not match the tokenizer:
conversions of Tekken have a sentencepiece decoder with a byte-level vocabulary, so that answers contain `Ġ`
in place of blanks. So texts are encoded and decoded, and a detokenizer that restores them is chosen.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mlx_lm.tokenizer_utils import NaiveStreamingDetokenizer
from tokenizers import decoders

Spelling = Callable[[str, bool], bytes]
"""The bytes of a token by its name in the vocabulary, and whether it was added to that."""

RoundTrip = tuple[list[int], str, str]
"""A text as tokens, as it was, and as it is decoded."""

_BYTE = re.compile("<0x([0-9A-F]{2})>")

PROBES = (
    "Hello, how can I help?",
    "    return self",
    "é 🙂 漢字 Ж",
    "a\n\n\tb  c",
    "don't stop , no .",
)
"""Texts that a detokenizer must restore: blanks, line breaks, characters of several bytes."""


class ByteDetokenizer:
    """Streams one answer by the bytes of its tokens; characters arrive whole, leading blanks are kept.

    `token_bytes` are the bytes of each token by its id; an id that the tokenizer lacks has none.
    """

    def __init__(self, tokenizer: Any, spell: Spelling) -> None:
        self.token_bytes = _token_bytes(tokenizer, spell)
        self._trims = False
        self.reset()
        # Some tokenizers add a blank before each text; it does not belong to the answer.
        self._trims = _streamed(self, tokenizer.encode("a", add_special_tokens=False)).startswith(" ")

    def reset(self) -> None:
        """Begin another answer."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._segment = ""
        self._begun = not self._trims

    def continue_text(self) -> None:
        """The answer goes on behind a text, so that its first blank belongs to it."""
        self._begun = True

    def add_token(self, token: int) -> None:
        """Take one more token; padded models have more tokens than their tokenizers."""
        known = self.token_bytes[token] if token < len(self.token_bytes) else b""
        text = self._decoder.decode(known)
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


class DecodingDetokenizer(NaiveStreamingDetokenizer):  # type: ignore[misc]
    """Streams by decoding the last line anew at each token, which every tokenizer can."""

    def __init__(self, tokenizer: Any) -> None:
        self._known = frozenset(tokenizer.get_vocab().values())
        super().__init__(tokenizer)

    def add_token(self, token: int) -> None:
        """Take one more token; padded models have more tokens than their tokenizers."""
        if token in self._known:
            super().add_token(token)


def answer_detokenizer(tokenizer: Any, *, continues: bool) -> Any:
    """A detokenizer for one answer, which `continues` a text that the prompt ends with, or begins one."""
    detokenizer = tokenizer.detokenizer
    if continues and isinstance(detokenizer, ByteDetokenizer):
        detokenizer.continue_text()
    return detokenizer


def select_decoding(tokenizer: Any) -> str:
    """Give mlx-lm's wrapper a working decoder and detokenizer; returns what was wrong, as a sentence."""
    fault = _select_decoder(tokenizer)
    trips = list(_round_trips(tokenizer.decode, tokenizer))
    tokenizer._detokenizer = next(
        (found for spell in (_byte_letters_of, _piece_of) if (found := _tried(tokenizer, spell, trips))),
        None,
    ) or DecodingDetokenizer(tokenizer)
    return fault


def _tried(tokenizer: Any, spell: Spelling, trips: Sequence[RoundTrip]) -> ByteDetokenizer | None:
    """A detokenizer with this spelling of tokens, if it restores these texts, or decodes as the tokenizer."""
    try:
        for ids, *right in trips:  # a few tokens show most misfits, the whole table takes a second
            spelled = b"".join(spell(token, False) for token in tokenizer.convert_ids_to_tokens(ids))
            if not any(_same(spelled.decode(errors="replace"), text) for text in right):
                return None
        detokenizer = ByteDetokenizer(tokenizer, spell)
        streamed = [(_streamed(detokenizer, ids), right) for ids, *right in trips]
    except Exception:  # a tokenizer written in Python may raise anything
        return None
    works = all(any(_same(said, text) for text in right) for said, right in streamed)
    return detokenizer if works and trips else None


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


def _round_trips(decode: Callable[..., str], tokenizer: Any) -> Iterator[RoundTrip]:
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


def _token_bytes(tokenizer: Any, spell: Spelling) -> list[bytes]:
    """The bytes of each token; some vocabularies have holes."""
    added = getattr(tokenizer, "added_tokens_decoder", None) or {}
    found = {number: spell(token, False) for token, number in tokenizer.get_vocab().items()}
    found |= {number: spell(str(token.content), True) for number, token in added.items()}
    return [found.get(number, b"") for number in range(max(found, default=-1) + 1)]


def _byte_letters_of(token: str, added: bool) -> bytes:
    """The bytes of a token of a byte-level vocabulary; added tokens are spelled literally."""
    if added:
        return token.encode()
    return b"".join(_LETTERS.get(letter) or letter.encode() for letter in token)


def _piece_of(token: str, added: bool) -> bytes:
    """The bytes of a piece of SentencePiece: one byte as `<0x0A>`, or text with `▁` for blanks."""
    if byte := _BYTE.fullmatch(token):
        return bytes.fromhex(byte[1])
    return token.replace("▁", " ").encode()


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


_LETTERS = _byte_letters()

"""Tokens decode to their original text, with any decoder that a tokenizer was shipped with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers.decoders import Decoder

from bench.stdlib_tokenizer import save_tokenizer
from engine.constrained.grammar import token_bytes
from engine.models.detokenizer import PROBES, ByteDetokenizer, answer_detokenizer, select_decoding
from engine.models.tokenizer_loading import LoadedTokenizer, load_tokenizer
from tests.engine import tokenizer_kinds
from tests.models import ModelShelf

TEXTS = ["Hello, how can I help? return self don't a b c", *PROBES] * 3


def sentencepiece_decoder(*, strip: bool = True) -> Decoder:
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    return decoders.Sequence([*parts, decoders.Strip(content=" ", left=1, right=0)] if strip else parts)


def byte_level(*, prefix: bool = False, decoder: Decoder | None = decoders.ByteLevel()) -> Tokenizer:  # noqa: B008
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(r"\s?\p{L}+|\s?[^\s\p{L}]+|\s+"), behavior="isolated")
    level = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=False)
    tokenizer.pre_tokenizer = level if prefix else pre_tokenizers.Sequence([split, level])
    tokenizer.decoder = decoder
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def sentencepiece(*, decoder: Decoder | None = None) -> Tokenizer:
    """Like Llama 2's: it adds a leading blank, and removes it again."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoder or sentencepiece_decoder()
    special = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(["▁" + text.replace(" ", "▁") for text in TEXTS], trainer)
    return tokenizer


Load = Callable[[Tokenizer], LoadedTokenizer]


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    def load(tokenizer: Tokenizer) -> LoadedTokenizer:
        tokenizer.add_special_tokens([AddedToken("<|im_end|>"), AddedToken("<|endoftext|>")])
        tokenizer.add_tokens([AddedToken("<tool_call>"), AddedToken("é｜ü")])
        save_tokenizer(tokenizer, tmp_path, 4096)
        return load_tokenizer(tmp_path)

    return load


KINDS = (
    tokenizer_kinds.byte_level,
    tokenizer_kinds.tekken,
    tokenizer_kinds.llama2,
    tokenizer_kinds.gemma,
    tokenizer_kinds.unigram,
    tokenizer_kinds.wordpiece,
)


def streamed(tokenizer: Any, ids: list[int]) -> str:
    detokenizer = tokenizer.detokenizer
    text = ""
    for token in ids:
        detokenizer.add_token(token)
        text += detokenizer.last_segment
    detokenizer.finalize()
    return text + str(detokenizer.last_segment)


MORE = [
    *PROBES,
    " one blank",
    "  two",
    "\n    a line",
    "<tool_call>{}",
    "é｜ü",
    "e\u0301\u200d👩\u200d💻",
    "▁Ġ",
]


@pytest.mark.parametrize(
    ("decoder", "mended"),
    [
        (decoders.ByteLevel(), False),
        (sentencepiece_decoder(), True),
        (sentencepiece_decoder(strip=False), True),
        (decoders.Metaspace(), True),
        (decoders.Fuse(), True),
        (None, True),
    ],
    ids=["its own", "sentencepiece's", "without strip", "metaspace", "none to speak of", "none"],
)
def test_a_byte_level_tokenizer_restores_texts_with_any_decoder(
    loaded: Load, decoder: Decoder | None, mended: bool
) -> None:
    found = loaded(byte_level(decoder=decoder))
    assert bool(found.decoder_fault) == mended
    tokenizer = found.tokenizer
    for text in MORE:
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert streamed(tokenizer, ids) == text
        assert b"".join(token_bytes(tokenizer)[token] for token in ids).decode() == text
        assert tokenizer.decode(ids, skip_special_tokens=False) == text or "é｜ü" in text


@pytest.mark.parametrize(
    ("decoder", "mended"),
    [
        (sentencepiece_decoder(), False),
        (sentencepiece_decoder(strip=False), False),
        (decoders.ByteLevel(), True),
    ],
    ids=["its own", "without strip", "byte-level's"],
)
def test_a_sentencepiece_tokenizer_restores_texts(loaded: Load, decoder: Decoder, mended: bool) -> None:
    found = loaded(sentencepiece(decoder=decoder))
    assert bool(found.decoder_fault) == mended
    for text in PROBES:
        ids = found.tokenizer.encode(text, add_special_tokens=False)
        assert streamed(found.tokenizer, ids) == text


def test_a_leading_blank_of_the_tokenizer_is_not_part_of_the_answer(loaded: Load) -> None:
    tokenizer = loaded(byte_level(prefix=True)).tokenizer
    for text in ("Hello", "Hello, how"):
        assert streamed(tokenizer, tokenizer.encode(text, add_special_tokens=False)) == text


def test_an_incomplete_character_waits_and_is_flushed_at_the_end(loaded: Load) -> None:
    tokenizer = loaded(byte_level()).tokenizer
    detokenizer = tokenizer.detokenizer
    ids = tokenizer.encode("🙂", add_special_tokens=False)
    pieces = []
    for token in ids:
        detokenizer.add_token(token)
        pieces.append(detokenizer.last_segment)
    assert "".join(pieces[:-1]) == ""
    assert pieces[-1] == "🙂"
    assert streamed(tokenizer, ids[:-1]) == "\ufffd"


def test_tokens_behind_holes_of_a_vocabulary_have_their_text(loaded: Load, tmp_path: Path) -> None:
    loaded(byte_level())
    file = tmp_path / "tokenizer.json"
    document = json.loads(file.read_text())
    for token in document["added_tokens"][-4:]:
        token["id"] += 100
        document["model"]["vocab"][token["content"]] = token["id"]
    file.write_text(json.dumps(document))
    tokenizer = load_tokenizer(tmp_path).tokenizer
    ids = tokenizer.encode("a <tool_call>{} é｜ü", add_special_tokens=False)
    assert max(ids) > len(tokenizer)
    assert streamed(tokenizer, ids) == "a <tool_call>{} é｜ü"
    assert b"".join(token_bytes(tokenizer)[token] for token in ids).decode() == "a <tool_call>{} é｜ü"


@pytest.mark.parametrize("kind", [*KINDS, tokenizer_kinds.python_letters], ids=lambda kind: kind.__name__)
def test_a_token_of_the_model_that_its_tokenizer_lacks_has_no_text(kind: Callable[[], Any]) -> None:
    tokenizer = kind()
    select_decoding(tokenizer)
    ids = tokenizer.encode("words", add_special_tokens=False)
    assert streamed(tokenizer, [10**6, *ids, 10**6]) == streamed(tokenizer, ids)


@pytest.mark.parametrize("kind", KINDS[:4], ids=lambda kind: kind.__name__)
def test_an_answer_that_continues_a_text_keeps_its_first_blank(kind: Callable[[], Any]) -> None:
    tokenizer = kind()
    select_decoding(tokenizer)
    whole = tokenizer.encode("zq words", add_special_tokens=False)
    begun = next(n for n in range(len(whole)) if tokenizer.decode(whole[: n + 1]) == "zq")
    detokenizer = answer_detokenizer(tokenizer, continues=True)
    for token in whole[begun + 1 :]:
        detokenizer.add_token(token)
    assert detokenizer.last_segment == " words"


def test_letters_that_are_also_letters_for_bytes_stay_letters() -> None:
    tokenizer = tokenizer_kinds.python_letters()
    select_decoding(tokenizer)
    text = "¡é, Ж, 漢字!"
    assert streamed(tokenizer, tokenizer.encode(text, add_special_tokens=False)) == text


def test_two_answers_at_the_same_time_do_not_mix(loaded: Load) -> None:
    tokenizer = loaded(byte_level()).tokenizer
    ids = tokenizer.encode("🙂", add_special_tokens=False)
    first, second = tokenizer.detokenizer, tokenizer.detokenizer
    first.add_token(ids[0])
    for token in ids:
        second.add_token(token)
    assert (first.last_segment, second.last_segment) == ("", "🙂")


def test_the_test_models_use_the_byte_detokenizer(shelf: ModelShelf, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shelf.tiny(), tmp_path / "model"))
    found = load_tokenizer(folder)
    assert isinstance(found.tokenizer.detokenizer, ByteDetokenizer)
    assert (found.template_fault, found.decoder_fault) == ("", "")

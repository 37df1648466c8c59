"""Segments give the ids of the whole text, and known segments are not tokenized again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from engine.prompts.encoding.segment_encoder import SegmentEncoder

MARKS = ("<|user|>", "<|end|>")
PIECES = st.sampled_from(
    (*MARKS, "<|", "|>", "word", " ", "\n", "<|user", "é", "日本", "  two  ", "<tool>", "")
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)
CORPUS = ["some words to learn from, and some more words", "<tool> two three"] * 20
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


class Counting:
    """An `encode` that counts its input's characters."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.characters = 0

    def __call__(self, text: str) -> list[int]:
        self.characters += len(text)
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids


def byte_level(**mark: Any) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return trained(tokenizer, **mark)


def metaspace(**mark: Any) -> Tokenizer:
    """Like SentencePiece models: the first word of a text gets a blank that later ones do not."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Prepend("▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    return trained(tokenizer, **mark)


def trained(tokenizer: Tokenizer, **mark: Any) -> Tokenizer:
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=alphabet, special_tokens=["<unk>"], show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False, **mark) for text in MARKS])
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False)])
    return tokenizer


@pytest.fixture(
    scope="module",
    params=[
        (byte_level, {}),
        (byte_level, {"lstrip": True}),
        (byte_level, {"rstrip": True}),
        (byte_level, {"single_word": True}),
        (metaspace, {}),
    ],
    ids=["plain", "lstrip", "rstrip", "single-word", "metaspace"],
)
def counting(request: pytest.FixtureRequest) -> Counting:
    make, mark = request.param
    return Counting(make(**mark))


@shared
@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
def test_the_ids_are_those_of_the_whole_text(counting: Counting, texts: list[str]) -> None:
    encoder = SegmentEncoder(counting, MARKS, (*MARKS, "<tool>"))
    for text in texts:
        assert encoder(text) == counting(text)


@given(texts=st.lists(TEXTS, min_size=1, max_size=6), room=st.integers(0, 40))
def test_a_small_cache_changes_nothing_but_the_work(texts: list[str], room: int) -> None:
    counting = Counting(PLAIN)
    encoder = SegmentEncoder(counting, MARKS, MARKS, remembered_characters=room)
    for text in texts:
        assert encoder(text) == counting(text)


PLAIN = byte_level()


def test_a_grown_prompt_costs_only_its_new_part() -> None:
    counting = Counting(PLAIN)
    encoder = SegmentEncoder(counting, MARKS, MARKS)
    first = "<|user|>some words<|end|>" * 50 + "<|user|>and more<|end|>"
    encoder(first)
    counting.characters = 0
    assert encoder(first + "<|user|>new words") == PLAIN.encode(first + "<|user|>new words").ids
    assert counting.characters == len("<|user|>new words")


def test_the_least_recently_used_segment_is_dropped_first() -> None:
    counting = Counting(PLAIN)
    encoder = SegmentEncoder(counting, MARKS, MARKS, remembered_characters=30)
    for text in ("<|user|>aa", "<|user|>bb", "<|user|>cc", "<|user|>aa", "<|user|>dd"):
        encoder(text)
    counting.characters = 0
    encoder("<|user|>aa")
    assert counting.characters == 0
    encoder("<|user|>bb")
    assert counting.characters == len("<|user|>bb")


@pytest.mark.parametrize("token", ["x<|user|>", "x<|us", "<|user|>x", "x<"])
def test_a_mark_that_another_token_may_overlap_is_not_used(token: str) -> None:
    tokenizer = byte_level()
    tokenizer.add_tokens([AddedToken(token, normalized=False)])
    counting = Counting(tokenizer)
    encoder = SegmentEncoder(counting, MARKS, (*MARKS, token))
    text = f"a{token}<|user|>b{token}"
    assert encoder(text) == counting(text)
    assert encoder("ax<|user|>b") == counting("ax<|user|>b")

"""Which sequences of tokens are a loop, at which token, and which texts are none."""

from __future__ import annotations

import base64
import random
import zlib
from itertools import count, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from engine.answers.repetition import BRIEF, LoopDetector, LoopGuard, LoopLimits
from engine.bundled_model import FOLDER

DEFAULT = 2000


def first_loop(limits: LoopLimits, tokens: list[int]) -> int | None:
    """How many tokens there were when the detector found a loop."""
    detector = LoopDetector(limits)
    return next((at for at, token in enumerate(tokens, 1) if detector.add(token)), None)


def loops_by_definition(limits: LoopLimits, tokens: list[int]) -> bool:
    """Whether the end of `tokens` is a loop, asked in the words of `LoopLimits`."""
    for period in range(1, limits.longest + 1):
        least = limits.brief_tokens if period <= BRIEF and limits.brief_tokens else limits.tokens
        length = max(limits.times * period, least)
        end = tokens[-length:]
        repeats = len(end) == length and all(end[i] == end[i - period] for i in range(period, length))
        if repeats and (limits.runs or len(set(end)) > 1):
            return True
    return False


LIMITS = st.builds(
    LoopLimits,
    tokens=st.integers(1, 30),
    times=st.integers(2, 5),
    longest=st.integers(3, 9),
    runs=st.booleans(),
    brief_tokens=st.sampled_from([0, 0, 4, 9]),
)


@given(
    limits=LIMITS,
    before=st.lists(st.integers(0, 2), max_size=40),
    passage=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    times=st.integers(1, 12),
    after=st.lists(st.integers(0, 2), max_size=10),
)
def test_a_loop_is_found_at_the_first_token_at_which_there_is_one(
    limits: LoopLimits, before: list[int], passage: list[int], times: int, after: list[int]
) -> None:
    tokens = before + passage * times + after
    ends = (end for end in range(1, len(tokens) + 1) if loops_by_definition(limits, tokens[:end]))
    assert first_loop(limits, tokens) == next(ends, None)


@given(
    before=st.integers(0, 3000),
    period=st.integers(1, 512),
    tokens=st.integers(100, 2000),
    whole=st.booleans(),
)
def test_it_takes_as_many_tokens_and_times_as_were_promised(
    before: int, period: int, tokens: int, whole: bool
) -> None:
    limits = LoopLimits(tokens, 8)
    new = count()
    promised = max(8 * period, tokens)
    start = list(islice(new, before))
    passage = list(islice(new, period))
    loop = (passage * (promised // period + 1))[:promised]
    if whole:
        assert first_loop(limits, start + loop) == before + promised
    else:
        assert first_loop(limits, [*start, *loop[:-1], next(new)]) is None


def merging() -> Tokenizer:
    """A byte-level tokenizer that merges digits, blanks and signs, as those of large models do."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([text for _, text in TEXTS], trainer)
    return tokenizer


def _csv(rows: int) -> str:
    return "id,name,city,score\n" + "".join(f"{n},ann,berlin,{n * 7 % 100}\n" for n in range(rows))


def _hex_dump(size: int) -> str:
    return "".join(f"{at:08x}  {'00 ' * 16} |................|\n" for at in range(0, size, 16))


TEXTS = [
    ("rule of a table", "| a | b |\n" + "|---" * 40 + "|\n| 1 | 2 |\n"),
    ("long rules", ("=" * 200 + "\nchapter\n" + "-" * 200 + "\n") * 3),
    ("csv", _csv(200)),
    ("csv whose rows are alike", "a,b,c\n" + "1,0,0\n" * 200),
    ("a list that counts", "".join(f"{n}. run the test number {n} again\n" for n in range(1, 101))),
    ("a table of zeros", "| 0 | 0 | 0 | 0 |\n" * 60),
    ("hex dump", _hex_dump(2048)),
    ("ascii art", "\n".join("#" + "." * 38 + "#" for _ in range(24))),
    ("minified code", "function a(b){return b?c(b):d(b)}" * 10),
    ("a punishment", "I will not talk in class.\n" * 100),
    ("attempts", "".join(f"I will try again. ({n})\n" for n in range(300))),
]
DATA = [
    ("zeros", "0" * 65536),
    ("zeros in base64", base64.b64encode(bytes(48_000)).decode()),
    ("noise in base64", base64.b64encode(random.Random(1).randbytes(12_000)).decode()),
    ("compressed", base64.b64encode(zlib.compress(_csv(3000).encode(), 9)).decode()),
    ("blanks", " " * 20_000),
    ("csv", _csv(2000)),
    ("csv whose rows are alike", "1,0,0\n" * 1500),
    ("bytes of C", "    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,\n" * 90),
    ("hex dump", _hex_dump(8192)),
    ("a matrix", ("0 " * 64 + "\n") * 64),
    ("assertions that differ", "".join(f"    assert f({n}) == {n * n}\n" for n in range(500))),
]


@pytest.fixture(scope="module", params=["bundled", "merging"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    """Two kinds: each sign a token, and runs of signs merged."""
    return Tokenizer.from_file(str(FOLDER / "tokenizer.json")) if request.param == "bundled" else merging()


def ended(tokens: list[int], *, in_call: bool) -> LoopGuard | None:
    guard = LoopGuard(DEFAULT)
    return guard if any(guard.add(token, in_call=in_call) for token in tokens) else None


@pytest.mark.parametrize("text", [text for _, text in TEXTS], ids=[name for name, _ in TEXTS])
def test_texts_that_repeat_much_are_no_loops(tokenizer: Tokenizer, text: str) -> None:
    assert ended(tokenizer.encode(text).ids, in_call=False) is None


@pytest.mark.parametrize("text", [text for _, text in TEXTS + DATA], ids=[name for name, _ in TEXTS + DATA])
def test_data_in_calls_is_no_loop(tokenizer: Tokenizer, text: str) -> None:
    assert ended(tokenizer.encode(text).ids, in_call=True) is None


@pytest.mark.parametrize(
    "passage",
    ["I cannot find the file. Let me look again.\n", "the ", "\n", "ok. " * 30, "So, " + "word, " * 60],
)
def test_a_text_that_never_ends_is_ended(tokenizer: Tokenizer, passage: str) -> None:
    tokens = tokenizer.encode("It is not there. " + passage * (40_000 // len(passage))).ids
    found = ended(tokens, in_call=False)
    assert found is not None
    assert "repeated itself" in found.why
    assert "loopTokens" in found.why


def test_a_word_over_and_over_is_ended_soon() -> None:
    found = ended([1, 2, *[3] * 1000], in_call=False)
    assert found is not None
    assert found.found is not None
    assert (found.found.period, found.found.length) == (1, DEFAULT // 5)
    assert ended([3, 4] * (DEFAULT // 10 - 1), in_call=False) is None


def test_a_call_that_never_ends_is_ended_later(tokenizer: Tokenizer) -> None:
    line = tokenizer.encode("    result.append(value)\n").ids
    found = ended(line * 5000, in_call=True)
    assert found is not None
    assert found.found is not None
    assert (found.found.period, found.found.length) == (len(line), max(8 * DEFAULT, 64 * len(line)))


def marked(*parts: tuple[list[int], bool]) -> list[tuple[int, bool]]:
    """Tokens, each with whether it is in a call."""
    return [(token, in_call) for tokens, in_call in parts for token in tokens]


def first_end(tokens: list[tuple[int, bool]], limit: int = 100) -> int | None:
    guard = LoopGuard(limit)
    ends = (at for at, (token, in_call) in enumerate(tokens, 1) if guard.add(token, in_call=in_call))
    return next(ends, None)


@pytest.mark.parametrize("text", [[], list(range(50, 80))], ids=["side by side", "with words"])
def test_the_same_call_over_and_over_is_a_loop_as_soon_as_a_passage_of_text_is(text: list[int]) -> None:
    call = marked((list(range(49)), True), ([49], False), (text, False))
    assert first_end(call * 100) == 8 * len(call)


def test_calls_that_differ_and_the_data_in_them_are_none() -> None:
    calls = [marked((list(range(40)), True), ([100 + number], True), ([49], False)) for number in range(100)]
    assert first_end([token for call in calls for token in call]) is None
    row = list(range(10))
    data = marked((row, False), (row * 60, True), ([10], True), (row, False))
    assert first_end(data) is None


def test_a_text_that_looks_like_a_call_now_and_then_is_a_loop_all_the_same() -> None:
    passage = marked((list(range(20)), False), (list(range(20, 30)), True), ([30], False))
    assert first_end(passage * 100) == 8 * len(passage)

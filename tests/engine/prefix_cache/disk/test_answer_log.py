"""Answers outlive the engine, and damaged ones are skipped."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from engine.prefix_cache.disk.answer_log import Entry, entry_from, line_of
from engine.prefix_cache.disk.folder import ANSWERS, CacheFolder
from engine.prefix_cache.disk.tier import DiskTier
from engine.prompts.answer_memory import AnswerMemory, KeptAnswer
from tests.engine.disk_tiers import FINGERPRINT, make_tier

SEED = b"1:a model:"
BEFORE = b"\x01\xff" * 16


def entry(number: int, tokens: Sequence[int] = (5, 151_000, 7)) -> Entry:
    return f"call call_{number}", KeptAnswer(BEFORE, "<|im_start|>assistant\n", tuple(tokens))


def called(number: int) -> dict[str, Any]:
    return {"role": "assistant", "content": "", "tool_calls": [{"id": f"call_{number}"}]}


@contextmanager
def answers_on(tier: DiskTier, tokenizer: str = "tok", **options: Any) -> Iterator[AnswerMemory]:
    """A memory whose answers this tier has; all are on disk when the block ends."""
    tier.open()
    memory = AnswerMemory(**options)
    tier.keep_answers(memory, tokenizer)
    try:
        yield memory
        assert tier.flush()
    finally:
        tier.close()


def keep(memory: AnswerMemory, *numbers: int, tokens: Sequence[int] = (1, 2, 3)) -> None:
    for number in numbers:
        saved = memory.keep(called(number), KeptAnswer(BEFORE, "", tuple(tokens)))
        if saved is not None:
            saved.result(30)


def known(root: Path, tokenizer: str = "tok", **options: Any) -> list[int]:
    """The numbers of the answers that another engine finds."""
    with answers_on(make_tier(root, **options), tokenizer) as memory:
        return [number for number in range(100) if memory.find(called(number), BEFORE) is not None]


def file_in(root: Path) -> Path:
    return root / FINGERPRINT / ANSWERS


# The format

answers = st.builds(
    KeptAnswer,
    st.binary(max_size=32),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(st.integers(0, 2**31)).map(tuple),
)
names = st.text(st.characters(exclude_categories=["Cs"]))


@given(name=names, answer=answers)
def test_an_answer_is_decoded_from_its_line(name: str, answer: KeptAnswer) -> None:
    line = line_of((name, answer), SEED)
    assert line.endswith(b"\n")
    assert line.splitlines() == [line[:-1]]
    assert entry_from(line, SEED) == (name, answer)
    assert entry_from(line, b"1:another model:") is None


def test_a_truncated_line_is_no_answer() -> None:
    line = line_of(entry(1), SEED)
    assert all(entry_from(line[:length], SEED) is None for length in range(len(line)))
    assert all(entry_from(line[start:], SEED) is None for start in range(1, len(line)))


def test_a_line_with_a_flipped_bit_is_no_answer() -> None:
    line = line_of(entry(1), SEED)
    for at in range(len(line)):
        for bit in range(8):
            flipped = line[:at] + bytes([line[at] ^ (1 << bit)]) + line[at + 1 :]
            assert entry_from(flipped, SEED) is None


@given(st.binary(max_size=200))
def test_other_bytes_are_nothing(content: bytes) -> None:
    assert entry_from(content, SEED) is None
    assert entry_from(content + b"\n", SEED) is None


@pytest.mark.parametrize(
    "content", [b"[]", b'"a"', b"{}", b'{"name":"a","before":"xy","opening":"","tokens":[]}']
)
def test_a_line_of_another_form_is_no_answer(content: bytes) -> None:
    line = xxhash.xxh3_128_hexdigest(SEED + content).encode() + b" " + content + b"\n"
    assert entry_from(line, SEED) is None


# The file


def test_answers_are_known_after_a_restart(tmp_path: Path) -> None:
    with answers_on(make_tier(tmp_path)) as memory:
        keep(memory, 1, 2)
    with answers_on(make_tier(tmp_path)) as memory:
        assert memory.find(called(1), BEFORE) == KeptAnswer(BEFORE, "", (1, 2, 3))
        assert memory.find(called(1), b"else") is None
        keep(memory, 3)
    assert known(tmp_path) == [1, 2, 3]
    assert file_in(tmp_path).stat().st_mode & 0o777 == 0o600
    assert file_in(tmp_path).parent.stat().st_mode & 0o777 == 0o700


def test_an_answer_is_in_the_file_when_its_keeper_is_told(tmp_path: Path) -> None:
    with answers_on(make_tier(tmp_path)) as memory:
        for number in range(5):
            keep(memory, number)
            assert len(file_in(tmp_path).read_bytes().splitlines()) == number + 1


def test_the_same_answer_again_is_not_written_again(tmp_path: Path) -> None:
    with answers_on(make_tier(tmp_path)) as memory:
        keep(memory, 1, 1, 1)
    with answers_on(make_tier(tmp_path)) as memory:
        keep(memory, 1)
    assert len(file_in(tmp_path).read_bytes().splitlines()) == 1


def test_the_newest_of_two_answers_counts(tmp_path: Path) -> None:
    with answers_on(make_tier(tmp_path)) as memory:
        keep(memory, 1, tokens=(1,))
        keep(memory, 1, tokens=(2,))
    with answers_on(make_tier(tmp_path)) as memory:
        found = memory.find(called(1), BEFORE)
        assert found is not None
        assert found.tokens == (2,)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file with three answers."""
    root = tmp_path_factory.mktemp("three")
    with answers_on(make_tier(root)) as memory:
        keep(memory, 1, 2, 3)
    return file_in(root).read_bytes()


def with_file(root: Path, content: bytes) -> None:
    file_in(root).parent.mkdir(parents=True, exist_ok=True)
    file_in(root).write_bytes(content)


def test_a_truncated_file_keeps_the_answers_before_its_end(tmp_path: Path, three: bytes) -> None:
    lines = three.splitlines(keepends=True)
    for length in range(0, len(three), 7):
        with_file(tmp_path, three[:length])
        whole = [number for number in (1, 2, 3) if len(b"".join(lines[:number])) <= length]
        assert known(tmp_path) == whole
        assert file_in(tmp_path).read_bytes() == b"".join(lines[: len(whole)])


def test_a_flipped_bit_costs_its_answer_and_at_most_the_one_behind_it(tmp_path: Path, three: bytes) -> None:
    lengths = [len(line) for line in three.splitlines(keepends=True)]
    for at in range(0, len(three), 11):
        with_file(tmp_path, three[:at] + bytes([three[at] ^ (1 << at % 8)]) + three[at + 1 :])
        hit = next(number for number in (1, 2, 3) if at < sum(lengths[:number]))
        assert set(known(tmp_path)) in ({1, 2, 3} - {hit}, {1, 2, 3} - {hit, hit + 1})


def test_damage_is_logged_once_and_the_next_answers_are_appended_to_whole_ones(
    tmp_path: Path, three: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with_file(tmp_path, three[:-20])
    with answers_on(make_tier(tmp_path)) as memory:
        keep(memory, 4)
    assert "1 of 3 answers" in caplog.text
    caplog.clear()
    assert known(tmp_path) == [1, 2, 4]
    assert not [record for record in caplog.records if record.name.startswith("engine")]


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"\x00" * 5000, b"\xff\n" * 50], ids=["empty", "blank", "zeros", "ff"]
)
def test_a_foreign_file_is_no_answer_and_no_obstacle(tmp_path: Path, content: bytes) -> None:
    with_file(tmp_path, content)
    assert known(tmp_path) == []
    with answers_on(make_tier(tmp_path)) as memory:
        keep(memory, 1)
    assert known(tmp_path) == [1]


def test_answers_of_another_tokenizer_or_template_are_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with answers_on(make_tier(tmp_path)) as memory:
        keep(memory, 1)
    assert known(tmp_path, "another") == []
    assert "chat template" in caplog.text


def test_a_leftover_of_a_new_file_is_removed(tmp_path: Path, three: bytes) -> None:
    with_file(tmp_path, three)
    leftover = file_in(tmp_path).with_name(f"writing-{ANSWERS}")
    leftover.write_bytes(three[:50])
    assert known(tmp_path) == [1, 2, 3]
    assert not leftover.exists()


# Bounds


def test_a_full_file_is_written_anew_with_the_newest(tmp_path: Path) -> None:
    budget = 16 * 2000
    with answers_on(make_tier(tmp_path, max_bytes=budget)) as memory:
        for number in range(100):
            keep(memory, number)
            assert file_in(tmp_path).stat().st_size <= 2000
    found = known(tmp_path, max_bytes=budget)
    assert found == list(range(found[0], 100))
    assert len(found) >= 4


def test_a_file_that_is_beyond_a_smaller_budget_shrinks(tmp_path: Path) -> None:
    with answers_on(make_tier(tmp_path)) as memory:
        keep(memory, *range(50))
    tier = make_tier(tmp_path, max_bytes=16 * 2000)
    with answers_on(tier):
        pass
    assert 0 < file_in(tmp_path).stat().st_size <= 1000
    assert tier.stats()["disk_bytes"] == file_in(tmp_path).stat().st_size


def test_an_answer_that_is_too_long_for_the_file_costs_no_other(tmp_path: Path) -> None:
    budget = 16 * 2000
    with answers_on(make_tier(tmp_path, max_bytes=budget)) as memory:
        keep(memory, 1)
        keep(memory, 2, tokens=range(100_000, 101_000))
        keep(memory, 3)
    assert known(tmp_path, max_bytes=budget) == [1, 3]


def test_the_memory_holds_as_many_tokens_as_ever(tmp_path: Path) -> None:
    with answers_on(make_tier(tmp_path)) as memory:
        keep(memory, 1, 2, 3, 4)
    with answers_on(make_tier(tmp_path), most_tokens=6) as memory:
        assert [memory.knows(called(number)) for number in (1, 2, 3, 4)] == [False, False, True, True]


def test_with_a_cap_of_0_answers_are_only_read(tmp_path: Path, three: bytes) -> None:
    with_file(tmp_path, three)
    with answers_on(make_tier(tmp_path, max_daily_bytes=0)) as memory:
        assert memory.find(called(1), BEFORE) is not None
        keep(memory, 4)
        assert memory.find(called(4), BEFORE) is not None
    assert file_in(tmp_path).read_bytes() == three


def test_answers_refused_by_the_daily_limit_are_saved_the_next_day(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    CacheFolder(tmp_path, FINGERPRINT, max_bytes=0, clock=lambda: now[0]).count_written(700)
    tier = make_tier(tmp_path, max_daily_bytes=1000, clock=lambda: now[0])
    with answers_on(tier) as memory:
        keep(memory, 1, 2, 3)
        assert len(file_in(tmp_path).read_bytes().splitlines()) == 1  # the last tenth is for heads
        now[0] = 86_400.0
        keep(memory, 4)
    assert known(tmp_path) == [1, 2, 3, 4]
    assert caplog.text.count("diskWritesPerDayBytes") == 1


class Building(AnswerMemory):
    """Counts how often all answers are asked for, to build a new file of them."""

    builds = 0

    def entries(self) -> list[Entry]:
        self.builds += 1
        return super().entries()


@pytest.mark.parametrize(("cap", "saved", "builds"), [(0, 0, 0), (1000, 3, 1)])
def test_a_file_that_the_days_cap_does_not_allow_is_not_built_for_each_answer(
    tmp_path: Path, cap: int, saved: int, builds: int
) -> None:
    tier = make_tier(tmp_path, max_daily_bytes=cap)
    tier.open()
    memory = Building()
    tier.keep_answers(memory, "tok")
    try:
        keep(memory, 1, 2, 3)
        keep(memory, 4, tokens=range(200))
        keep(memory, *range(5, 10))
        assert tier.flush()
        assert memory.builds == builds
        lines = file_in(tmp_path).read_bytes().splitlines() if file_in(tmp_path).exists() else []
        assert len(lines) == saved
    finally:
        tier.close()


def test_answers_count_in_the_budget_and_in_what_is_written(tmp_path: Path) -> None:
    tier = make_tier(tmp_path)
    with answers_on(tier) as memory:
        keep(memory, 1, 2)
        assert tier.flush()
        size = file_in(tmp_path).stat().st_size
        assert tier.stats()["disk_bytes"] == size
        assert tier.stats()["disk_written_today_bytes"] == size


def test_other_models_answers_go_where_room_is_needed(tmp_path: Path) -> None:
    with answers_on(make_tier(tmp_path)) as memory:
        keep(memory, 1)
    size = file_in(tmp_path).stat().st_size
    folder = CacheFolder(tmp_path, "e" * 32, max_bytes=1 << 20)
    folder.open()
    assert folder.other_bytes() >= size
    assert folder.free_others(1) == size
    assert known(tmp_path) == []
    folder.close()


# What goes wrong elsewhere


def test_a_second_engine_has_its_answers_in_memory_alone(tmp_path: Path) -> None:
    with answers_on(make_tier(tmp_path)) as first, answers_on(make_tier(tmp_path)) as second:
        keep(first, 1)
        keep(second, 2)
        assert second.find(called(2), BEFORE) is not None
    assert known(tmp_path) == [1]


def test_a_file_that_cannot_be_read_is_told_and_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file_in(tmp_path).mkdir(parents=True)
    with answers_on(make_tier(tmp_path)) as memory:
        keep(memory, 1)
        assert memory.find(called(1), BEFORE) is not None
    assert "cannot be read" in caplog.text
    assert file_in(tmp_path).is_dir()


def test_a_disk_that_fails_pauses_saving_with_one_notice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with answers_on(make_tier(tmp_path)) as memory:
        keep(memory, 1)
        file_in(tmp_path).unlink()
        file_in(tmp_path).mkdir()
        with caplog.at_level(logging.WARNING):
            keep(memory, 2, 3)
        assert memory.find(called(3), BEFORE) is not None
    assert caplog.text.count("are not saved to") == 1


def test_a_full_disk_keeps_back_answers_until_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    free = [500]
    tier = make_tier(tmp_path, keep_free_bytes=16_000, free_bytes=lambda path: free[0], monotonic=lambda: 0.0)
    with answers_on(tier) as memory:
        keep(memory, 1)
        assert not file_in(tmp_path).exists()
        assert tier.stats()["disk_paused"] == 1
        for number, free[0] in ((2, 1000), (3, 20_000)):
            keep(memory, number)
        assert tier.flush()
        assert tier.stats()["disk_paused"] == 0
    assert "almost full" in caplog.text
    assert caplog.text.count("are not saved to") == caplog.text.count("are saved to") == 1
    assert known(tmp_path) == [1, 2, 3]


def test_answers_are_tried_again_after_growing_pauses(tmp_path: Path) -> None:
    now = [0.0]
    tier = make_tier(tmp_path, free_bytes=lambda path: 1 << 40, monotonic=lambda: now[0])
    with answers_on(tier) as memory:
        keep(memory, 1)
        file_in(tmp_path).unlink()
        file_in(tmp_path).mkdir()
        for number, now[0] in ((2, 0.0), (3, 10.0)):
            keep(memory, number)
            assert tier.flush()
        assert list(file_in(tmp_path).parent.glob("writing-*")) == []
        file_in(tmp_path).rmdir()
        for number, now[0] in ((4, 29.0), (5, 30.0)):
            assert not file_in(tmp_path).exists()
            keep(memory, number)
    assert known(tmp_path) == [1, 2, 3, 4, 5]


def test_what_is_kept_after_the_end_is_kept_in_memory(tmp_path: Path) -> None:
    with answers_on(make_tier(tmp_path)) as memory:
        keep(memory, 1)
    keep(memory, 2)
    assert memory.find(called(2), BEFORE) is not None
    assert known(tmp_path) == [1]

"""How fast a model is: what is measured at each length, and within the time that there is."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from engine import model_speed
from engine.model_speed import SpeedRun, SpeedTask, main, measured_model
from engine.models.loading import LoadedModel, load_model
from engine.wire.speed_report import (
    MeasuredModel,
    SkippedLength,
    SpeedLine,
    SpeedProgress,
    SpeedRow,
    read_speed,
    speed_text,
)
from tests.models import ModelShelf


@pytest.fixture(scope="module")
def loaded(shelf: ModelShelf) -> LoadedModel:
    return replace(load_model(shelf.tiny()), prefill_chunk=64)


def test_each_length_is_read_cold_and_warm_and_answered_with_and_without_a_grammar(
    loaded: LoadedModel,
) -> None:
    emitted: list[SpeedLine] = []
    run = SpeedRun(loaded, SpeedTask((100, 300), 4, 60), emitted.append)
    rows = list(run.measure())
    assert run.grammar_fault == ""
    assert [row.prompt_tokens for row in rows] == [100, 300]
    for row in rows:
        assert row.restored_tokens == row.prompt_tokens - 1
        assert row.warm_s is not None
        assert row.decode_s is not None
        assert row.grammar_s is not None
        assert min(row.prefill_speed, row.decode_speed or 0, row.grammar_speed or 0) > 0
    done = [line.done for line in emitted if isinstance(line, SpeedProgress)]
    assert done == sorted(done)
    model = measured_model(loaded, "")
    assert (model.fingerprint, model.chunk_tokens) == (loaded.fingerprint, 64)


def test_what_there_is_no_time_or_room_for_is_skipped_with_the_reason(loaded: LoadedModel) -> None:
    emitted: list[SpeedLine] = []
    ticks = count()  # a second for each look at the clock
    short = replace(loaded, context_length=5000)
    task = SpeedTask((80, 160, 4000, 6000), 2, 60)
    rows = list(SpeedRun(short, task, emitted.append, lambda: float(next(ticks))).measure())
    assert [row.prompt_tokens for row in rows] == [80, 160]
    skipped = {line.prompt_tokens: line.why for line in emitted if isinstance(line, SkippedLength)}
    assert "s are left" in skipped[4000]
    assert skipped[6000] == "the model serves 5000 tokens"


def test_a_length_that_takes_longer_than_there_is_time_is_given_up(loaded: LoadedModel) -> None:
    emitted: list[SpeedLine] = []
    ticks = count()
    run = SpeedRun(loaded, SpeedTask((640,), 2, 5), emitted.append, lambda: float(next(ticks)))
    assert list(run.measure()) == []
    assert emitted[-1] == SkippedLength(640, "the time was over (5 s)")


def test_a_tokenizer_without_grammars_is_measured_without(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_speed, "_grammar", lambda loaded: (None, "no bytes"))
    run = SpeedRun(loaded, SpeedTask((64,), 2, 60), lambda line: None)
    (row,) = run.measure()
    assert run.grammar_fault == "no bytes"
    assert (row.grammar_s, row.grammar_speed) == (None, None)


def test_lines_are_read_back_and_others_passed_over() -> None:
    for line in (SpeedRow(8, 0.5), MeasuredModel("f"), SpeedProgress(0.5, "x"), SkippedLength(8, "no")):
        assert read_speed(speed_text(line)) == line
    for text in ("", "{}", '{"kind": "future"}', "a library prints", '{"kind": "row"}'):
        assert read_speed(text) is None


@pytest.mark.parametrize("lengths", ["", "a", "1", "10,x"])
def test_wrong_lengths_are_refused(lengths: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--lengths", lengths])


def test_a_model_that_cannot_be_loaded_ends_with_4(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", "/no/such/folder"]) == 4
    assert "no folder /no/such/folder" in capsys.readouterr().err

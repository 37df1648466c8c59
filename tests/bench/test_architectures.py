"""The report on mlx-lm's architectures says what the engine does with each, and when that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import architectures
from bench.architecture_models import configurations, modules_of_mlx_lm
from bench.architectures import ArchitectureRow, examined, summary, table
from engine.cache_verification import Outcome
from engine.models.loading import load_model
from tests.models import ModelShelf


def test_there_is_a_configuration_of_each_architecture_that_mlx_lm_has() -> None:
    assert set(modules_of_mlx_lm()) == configurations().keys()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt_bigcode", {"loads": "yes", "warm": "exact", "restored": "exact", "caches": "2 KVCache"}),
        ("deepseek_v41", {"loads": "yes", "warm": "not cached", "restored": "not cached"}),
    ],
)
@pytest.mark.filterwarnings("ignore")  # of transformers, on configurations that it does not know
def test_what_an_architecture_does_is_seen(tmp_path: Path, name: str, expected: dict[str, str]) -> None:
    row = examined(name, tmp_path / name)
    assert {key: getattr(row, key) for key in expected} == expected
    assert row.sound
    if name == "gpt_bigcode":
        assert row.batched.startswith("alone, since it fails on several")
        assert row.reused
    else:
        assert "LayerCache cannot be restored" in row.notes


def test_a_module_that_ends_the_program_is_a_line_of_the_table(tmp_path: Path) -> None:
    row = examined("olmo", tmp_path / "olmo")
    assert "it ends the program" in row.loads
    assert row.sound  # it is mlx-lm that has no use for it, and a user is told


def outcomes(**changed: Outcome) -> dict[str, Outcome]:
    fine = {way: Outcome(1, reused=5, prompt=10) for way in ("again", "warm", "disk", "batched")}
    return fine | changed


@pytest.mark.parametrize(
    ("made", "column", "says"),
    [
        (outcomes(warm=Outcome(1, other_tokens=1, reused=5, prompt=10)), "warm", "DIFFERS"),
        (outcomes(disk=Outcome(1, largest=0.5, reused=5, prompt=10)), "restored", "DIFFERS"),
        (outcomes(batched=Outcome(1, largest=1e6, reused=5, prompt=10)), "batched", "yes, changes by"),
    ],
)
def test_a_wrong_answer_makes_the_report_fail(
    shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch, made: dict[str, Outcome], column: str, says: str
) -> None:
    monkeypatch.setattr(architectures, "verify", lambda *_, **__: made)
    monkeypatch.setattr(architectures, "conversations", lambda *_: [[[1, 2, 3]]])
    row = ArchitectureRow("qwen3", batched="yes")
    architectures._verify(row, load_model(shelf.tiny()))
    assert getattr(row, column).startswith(says)
    assert not row.sound


def test_the_table_has_a_line_for_each() -> None:
    rows = [ArchitectureRow("a", loads="yes", warm="exact", reused=0.5), ArchitectureRow("b", loads="x | y")]
    lines = table(rows)
    assert len(lines) == 4
    assert "50%" in lines[2]
    assert "x \\| y" in lines[3]
    assert "of 2, 1 load, 1 are exact warm, 0 restored" in summary(rows)

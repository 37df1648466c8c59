"""What `doctor` learns of a model without its weights in memory."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from engine import bundled_model
from engine.chunks.boundaries import chunk_size_at
from engine.chunks.fit import largest_chunk
from engine.memory_budget.estimate import CHUNK_BYTES
from engine.model_report import machine_report, main, with_model
from engine.models.loading import load_model
from engine.process.program_code import code_hash, library_versions
from engine.trials.memory_costs import request_cost
from engine.wire.model_report import ModelReport, read_report
from tests.models import ModelShelf


def test_the_program_prints_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", str(bundled_model.FOLDER)]) == 0
    report = read_report(capsys.readouterr().out)
    assert (report.fault, report.template_fault, report.cache_fault) == ("", "", "")
    assert report.family == "qwen3_coder"
    assert report.cache_kinds == {"KVCache": 4}
    assert report.fitting_tokens == report.window_tokens == 131_072
    assert report.libraries == library_versions()
    assert 0 < report.limit_bytes < report.ram_bytes


@pytest.mark.parametrize("architecture", ["qwen3", "gemma3_text", "qwen3_5"])
def test_the_kv_of_a_token_is_what_the_engine_measures(shelf: ModelShelf, architecture: str) -> None:
    folder = shelf.tiny(architecture)  # type: ignore[arg-type]
    report = with_model(machine_report(), folder)
    measured = request_cost(load_model(folder), lambda at: chunk_size_at(at, largest_chunk()))
    assert report.kv_bytes == measured.kv_bytes
    assert report.needs_checkpoints == (architecture != "qwen3")
    assert with_model(machine_report(), folder, kv_bits=8).kv_bytes == measured.kv_bytes // 2


def test_a_machine_without_room_fits_fewer_tokens(shelf: ModelShelf) -> None:
    report = with_model(machine_report(), shelf.tiny())
    transient = CHUNK_BYTES * largest_chunk()
    asked = report.weights_bytes + transient + report.kv_bytes * report.window_tokens // 2
    alone = with_model(machine_report(asked), shelf.tiny())
    beside = with_model(machine_report(asked + 10**6), shelf.tiny(), beside_bytes=10**6)
    assert beside.fitting_tokens == alone.fitting_tokens
    assert alone.limit_reason == "as set by memoryLimitBytes"
    assert 0 < alone.fitting_tokens < alone.window_tokens


def test_what_the_user_set_comes_first(shelf: ModelShelf) -> None:
    report = with_model(machine_report(), shelf.tiny(), tool_format="glm", context_tokens=2048)
    assert (report.family, report.window_tokens) == ("glm", 2048)


def test_a_template_that_drops_tools_is_reported(shelf: ModelShelf, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(shelf.tiny(), folder)
    report = with_model(ModelReport(), folder)
    assert report.tools_rendered
    assert report.new_project["behind"] * 10 < report.new_project["computed"]
    for path in folder.glob("chat_template*"):
        path.unlink()
    plain = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    config = json.loads((folder / "tokenizer_config.json").read_bytes()) | {"chat_template": plain}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    report = with_model(ModelReport(), folder)
    assert (report.tools_rendered, report.template_fault) == (False, "")
    assert report.tools_form == "hermes"
    assert "tools are written into the system text" in report.adaptations
    assert report.traits["tools_as_text"] is True
    assert read_report(json.dumps(asdict(report))) == report


def test_a_model_that_cannot_be_built_is_reported(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no_such_model"}))
    (tmp_path / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    assert with_model(ModelReport(), tmp_path).fault.endswith("download the model again")
    (tmp_path / "tokenizer.json").write_text("{}")
    fault = with_model(machine_report(), tmp_path).fault
    assert "no_such_model" in fault
    assert fault.endswith("upgrade mlx-lm or take another model")


def test_the_last_line_counts_and_unknown_fields_are_passed_over() -> None:
    text = 'a library prints\n{"family": "glm", "from_the_future": 1}\n'
    assert read_report(text) == ModelReport(family="glm")
    for wrong in ("", "[]", "no JSON"):
        with pytest.raises(ValueError, match=r".*"):
            read_report(wrong)


def test_the_hash_is_of_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "a.py").write_text("1")
    one = code_hash(tmp_path)
    (tmp_path / "engine" / "a.txt").write_text("not code")
    assert code_hash(tmp_path) == one
    (tmp_path / "engine" / "a.py").write_text("2")
    two = code_hash(tmp_path)
    (tmp_path / "engine" / "a.py").rename(tmp_path / "engine" / "b.py")
    assert len({one, two, code_hash(tmp_path)}) == 3


def test_a_missing_library_is_left_out() -> None:
    assert library_versions(["no-such-library"]) == {}

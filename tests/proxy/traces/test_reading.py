from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.process.private_files import write_private
from engine.wire.json_text import encode_json
from proxy.traces.files import id_in, is_trace_id, trace_files, trace_path
from proxy.traces.reading import TraceDamaged, TraceNotFound, TraceUnreadable, load_trace, read_trace
from proxy.traces.schema import Trace
from tests.proxy.trace_making import trace_of


def write(folder: Path, trace: Trace) -> Path:
    path = folder / trace_path(trace.backend, trace.time, trace.id)
    write_private(path, encode_json(trace.model_dump()))
    return path


def test_paths_sort_by_time_and_name_their_trace() -> None:
    assert trace_path("mlx", 1790000000.5, "req_ab12") == "mlx/20260921T141320.500Z-req_ab12.json"
    assert id_in("mlx/20260921T131320.500Z-req_ab12.json") == "req_ab12"
    assert id_in("mlx/20260921T131320.500Z-req_ab12.json.damaged") is None


@pytest.mark.parametrize(
    ("backend", "folder"),
    [
        ("../../etc", "_.._etc"),
        ("a b/c", "a_b_c"),
        ("", "unnamed"),
        ("..", "unnamed"),
        ("vllm-mlx", "vllm-mlx"),
    ],
)
def test_no_backend_name_leads_out_of_the_folder(backend: str, folder: str) -> None:
    assert trace_path(backend, 0, "req_1").split("/")[0] == folder
    assert trace_path(backend, 0, "req_1").count("/") == 1


@pytest.mark.parametrize("text", ["", "req_", "../req_1", "req_1/../2", "req_ü", "1"])
def test_what_is_no_id_is_known(text: str) -> None:
    assert not is_trace_id(text)


def test_a_trace_is_loaded_by_its_id_or_the_beginning_of_it(tmp_path: Path) -> None:
    write(tmp_path, trace_of(1))
    write(tmp_path, trace_of(20))
    assert load_trace(tmp_path, "req_0001") == trace_of(1)
    assert load_trace(tmp_path, "req_002") == trace_of(20)


def test_a_whole_id_wins_over_longer_ones(tmp_path: Path) -> None:
    write(tmp_path, trace_of(1, id="req_ab"))
    write(tmp_path, trace_of(2, id="req_abc"))
    assert load_trace(tmp_path, "req_ab").id == "req_ab"


def test_files_are_listed_newest_first(tmp_path: Path) -> None:
    for number, backend in ((1, "mlx"), (3, "mlx"), (2, "openrouter")):
        write(tmp_path, trace_of(number, backend=backend))
    assert [id_in(path) for path in trace_files(tmp_path)] == ["req_0003", "req_0002", "req_0001"]


@pytest.mark.parametrize(
    ("trace_id", "says"),
    [("req_9", "no trace req_9"), ("req_000", "2 traces begin with"), ("", "no trace id")],
)
def test_an_id_that_names_no_single_trace_is_an_error(tmp_path: Path, trace_id: str, says: str) -> None:
    write(tmp_path, trace_of(1))
    write(tmp_path, trace_of(2))
    with pytest.raises(TraceNotFound, match=says):
        load_trace(tmp_path, trace_id)


def test_an_empty_home_has_no_traces(tmp_path: Path) -> None:
    with pytest.raises(TraceNotFound):
        load_trace(tmp_path / "traces", "req_1")


def test_a_damaged_trace_is_an_error_that_names_file_and_place(tmp_path: Path) -> None:
    path = write(tmp_path, trace_of(1))
    path.write_bytes(encode_json({"id": "req_0001", "request": {}}))
    with pytest.raises(TraceDamaged, match=r"req_0001.json is no trace: time: Field required"):
        load_trace(tmp_path, "req_0001")
    assert path.exists()


def test_a_trace_of_a_newer_program_says_what_to_do(tmp_path: Path) -> None:
    write(tmp_path, trace_of(1, schema_version=7))
    with pytest.raises(TraceUnreadable, match="update anyclaude-tui"):
        load_trace(tmp_path, "req_0001")


def test_fields_of_the_future_are_ignored(tmp_path: Path) -> None:
    path = write(tmp_path, trace_of(1))
    path.write_bytes(path.read_bytes().replace(b'"session"', b'"mood": "good", "session"', 1))
    assert load_trace(tmp_path, "req_0001") == trace_of(1)


def test_a_body_as_deep_as_the_recorder_writes_is_read_back(tmp_path: Path) -> None:
    body: Any = "deep"
    for _ in range(199):
        body = [body]
    file = tmp_path / "x.json"
    file.write_bytes(encode_json(trace_of(upstream=body).model_dump()))
    assert read_trace(file).upstream == body

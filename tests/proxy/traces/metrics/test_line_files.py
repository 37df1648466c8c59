"""The lines of requests: each once, whoever adds it, whenever it is killed, whatever became of the file."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.traces.analysis.facts import REQUEST_COLUMNS, Row, request_row
from proxy.traces.index_tables import storable_row
from proxy.traces.metrics import line_files
from proxy.traces.metrics.line_files import RequestLines, _line
from tests.proxy.trace_making import AT, trace_of

ROOT = Path(__file__).parents[4]
NAME = f"requests-{datetime.fromtimestamp(AT, UTC):%Y-%m}.jsonl"


def row(number: int, **fields: object) -> Row:
    return storable_row(request_row(trace_of(number, **fields)))


LINE = _line(row(1))


class Lines:
    """A folder of lines and what its reader was told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.lines = self.another()

    def another(self) -> RequestLines:
        """As another process has it."""
        return RequestLines(self.folder, notice=self.said.append)

    def ids(self) -> list[str]:
        return [str(found[0]) for found in self.another().rows()]

    @property
    def file(self) -> Path:
        return self.folder / NAME


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Lines]:
    lines = Lines(tmp_path / "cache-metrics")
    yield lines
    leftover = [path.name for path in lines.folder.glob(".*") if path.name != ".lock"]
    assert leftover == []


def test_a_line_has_every_field_and_comes_back_as_it_was(made: Lines) -> None:
    rows = [row(1), row(2, model="§ Ω", timings=trace_of(2).timings.model_copy(update={"first_token": None}))]
    assert made.lines.add(rows) == 2
    line = json.loads(made.file.read_text().splitlines()[0])
    assert list(line) == ["v", *REQUEST_COLUMNS]
    assert (line["v"], line["id"], line["failed"], line["ttft"]) == (1, "req_0001", False, 0.5)
    assert list(made.another().rows()) == rows
    assert (made.file.stat().st_mode & 0o777, made.folder.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_request_is_added_once_whoever_adds_it(made: Lines) -> None:
    other = made.another()
    assert made.lines.add([row(1), row(2), row(1)]) == 2
    assert other.add([row(2), row(3)]) == 1
    assert made.lines.add([row(3), row(4)]) == 1
    assert made.ids() == ["req_0001", "req_0002", "req_0003", "req_0004"]
    assert made.said == []


def test_months_are_files_of_their_own_and_only_those_asked_for_are_read(made: Lines) -> None:
    last = datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC).timestamp()
    made.lines.add([row(1, time=last), row(2, time=last + 1), row(3, time=0.0)])
    names = [path.name for path in made.lines.files()]
    assert names == ["requests-1970-01.jsonl", "requests-2026-10.jsonl", "requests-2026-11.jsonl"]
    assert [found[0] for found in made.lines.rows(since=last)] == ["req_0001", "req_0002"]
    assert [found[0] for found in made.lines.rows(since=last + 1)] == ["req_0002"]
    assert [found[0] for found in made.lines.rows(until=last)] == ["req_0003", "req_0001"]


def test_bounds_beyond_all_dates_choose_all_or_nothing(made: Lines) -> None:
    made.lines.add([row(1)])
    assert len(list(made.lines.rows(since=-1e12, until=1e15))) == 1
    assert list(made.lines.rows(until=-1e12)) == []


def test_a_foreign_trace_without_an_id_is_added_once(made: Lines) -> None:
    assert [made.another().add([row(1, id="")]) for _ in range(2)] == [1, 0]
    assert (made.ids(), made.said) == ([""], [])


@given(kept=st.integers(0, 10_000))
@example(kept=0)
@example(kept=len(LINE) - 1)
@example(kept=len(LINE))
@settings(max_examples=40)
def test_a_host_that_was_killed_while_it_wrote_costs_no_line(
    kept: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = Lines(tmp_path_factory.mktemp("killed"))
    made.lines.add([row(1), row(2)])
    content = made.file.read_bytes()
    kept = kept % (len(content) + 1)
    os.truncate(made.file, kept)
    whole = content[:kept].count(b"\n")
    assert made.ids() == [f"req_{number:04d}" for number in range(1, whole + 1)]
    unended = content[kept : kept + 1] == b"\n"  # a whole line but for its end
    assert made.another().add([row(1), row(2)]) == 2 - whole - unended
    assert sorted(made.ids()) == ["req_0001", "req_0002"]
    torn = kept > 0 and content[kept - 1 : kept] != b"\n" and not unended
    assert len(made.said) == torn
    assert made.file.with_name(NAME + ".damaged").exists() == torn


@pytest.mark.parametrize(
    "damage",
    [
        b"\x00\xff not JSON\n",
        b"[1]\n",
        b'{"v":1}\n',
        b'{"v":1,"id":"req_0001","time":"noon"}\n',
        b'{"v":1,"id":"req_0001","time":1e999,"backend":""}\n',
    ],
)
def test_lines_that_cannot_be_read_are_quarantined_and_their_requests_added_anew(
    made: Lines, damage: bytes
) -> None:
    made.lines.add([row(1), row(2), row(3)])
    first, second, third = made.file.read_bytes().splitlines(keepends=True)
    made.file.write_bytes(first + damage + third)
    assert made.ids() == ["req_0001", "req_0003"]
    assert f"1 line of {made.file} cannot be read and are not counted" in made.said[0]
    assert made.lines.add([row(1), row(2), row(3)]) == 1
    assert made.file.read_bytes() == first + third + second
    assert made.file.with_name(NAME + ".damaged").read_bytes() == damage
    assert "could not be read: kept in requests-" in made.said[1]
    assert made.ids() == ["req_0001", "req_0003", "req_0002"]
    assert len(made.said) == 2


def test_lines_of_a_newer_version_stay_and_are_not_counted(made: Lines) -> None:
    made.lines.add([row(1)])
    line = json.loads(made.file.read_text())
    newer = [
        json.dumps(line | {"v": 2, "id": "req_0002"}),
        json.dumps({"v": 2, "id": "req_0003", "time": {"s": 1}}),
    ]
    made.file.write_text("\n".join([json.dumps(line | {"unknown": 1}), *newer]) + "\n")
    before = made.file.read_bytes()
    assert made.ids() == ["req_0001"]
    assert "2 lines of" in made.said[0]
    assert "of a newer anyclaude-tui: what it wrote stays as it is" in made.said[0]
    assert made.another().add([row(1), row(2), row(3)]) == 0
    assert made.file.read_bytes() == before


def test_a_full_disk_leaves_whole_lines_alone(made: Lines) -> None:
    made.lines.add([row(1)])
    before = made.file.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            made.lines.add([row(2)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert made.file.read_bytes() == before
    assert made.lines.add([row(2)]) == 1
    assert made.ids() == ["req_0001", "req_0002"]


def test_a_file_that_is_gone_is_begun_anew(made: Lines) -> None:
    made.lines.add([row(1), row(2)])
    made.file.unlink()
    assert made.lines.add([row(2)]) == 1
    assert made.ids() == ["req_0002"]


ADDING = """
import sys
from pathlib import Path
from tests.proxy.traces.metrics.test_line_files import row
from proxy.traces.metrics.line_files import RequestLines
lines = RequestLines(Path(sys.argv[1]), notice=print)
print(flush=True)
sys.stdin.readline()
for number in range(1, 201):
    lines.add([row(number)])
print("added", flush=True)
sys.stdin.readline()
with lines._locked():
    print("locked", flush=True)
    sys.stdin.readline()
"""


def test_two_processes_at_once_add_each_request_once_and_a_killed_one_leaves_no_lock(
    made: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", ADDING, str(made.folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdout.readline()
        other.stdin.write("\n")
        other.stdin.flush()
        for number in range(1, 201):
            made.lines.add([row(number)])
        assert other.stdout.readline() == "added\n"
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "locked\n"
        monkeypatch.setattr(line_files, "LOCKED_S", 0.0)
        with pytest.raises(OSError, match="another process holds it"):
            made.another().add([row(201)])
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert made.another().add([row(201)]) == 1
    assert len(made.file.read_text().splitlines()) == 201
    assert sorted(made.ids()) == [f"req_{number:04d}" for number in range(1, 202)]
    assert made.said == []

"""The requests of a session around one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.traces.listing.turns import AROUND, SessionTurns, turns_around
from proxy.traces.schema import Trace
from tests.proxy.trace_making import call_of, trace_of
from tests.proxy.traces.folders import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path)
    yield folder
    folder.index.close()


def numbers(turns: SessionTurns) -> list[int]:
    return [int(turn.id.removeprefix("req_")) for turn in turns.turns]


def around(folder: Folder, trace: Trace) -> SessionTurns:
    return turns_around(trace, folder.index)


def test_turns_are_the_nearest_of_the_same_session_and_lane_with_their_calls(folder: Folder) -> None:
    traces = [trace_of(number) for number in range(1, 21)]
    traces[9].tool_calls.append(call_of(name="Bash", is_error=True))
    others = [trace_of(30, session="session-b"), trace_of(31, lane="subagent", agent="one")]
    folder.put(*traces, *others)
    found = around(folder, traces[10])
    assert numbers(found) == list(range(11 - AROUND, 11 + AROUND + 1))
    assert (found.turns[found.place].id, found.number, found.total) == (traces[10].id, 11, 20)
    [call] = found.turns[found.place - 1].did
    assert (call.name, call.is_error) == ("Bash", True)
    assert numbers(around(folder, traces[0])) == [1, 2, 3, 4, 5, 6]
    assert numbers(around(folder, traces[-1])) == [15, 16, 17, 18, 19, 20]


def test_an_agents_turns_are_its_own(folder: Folder) -> None:
    traces = [trace_of(number, lane="subagent", agent="ab"[number % 2]) for number in range(1, 9)]
    folder.put(*traces)
    assert numbers(around(folder, traces[3])) == [2, 4, 6, 8]


def test_a_request_without_a_session_stands_alone(folder: Folder) -> None:
    traces = [trace_of(number, session="") for number in (1, 2)]
    folder.put(*traces)
    assert numbers(around(folder, traces[0])) == [1]
    assert numbers(around(folder, trace_of(9))) == []  # it was removed meanwhile

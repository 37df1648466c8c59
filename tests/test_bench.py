"""The bench runs from end to end and says what it measured; how fast is not asked here."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from threading import Thread

import orjson
import pytest

from bench import decode, grammar_cost, random_calls, tool_parsers
from bench.__main__ import main
from bench.figure import Figure, Peer
from bench.prefill_floor import floor
from bench.screen import gaps
from bench.screen.stream_reader import TimedReader
from engine.wire.chat import CompletionHead

FIELDS = {"bench", "metric", "unit", "value", "peer", "ratio", "target", "ok", "runs", "machine"}


@pytest.fixture(scope="module", autouse=True)
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two benches record the real client's tools: once is enough here."""
    recorded = cache(partial(grammar_cost.claude_tools, tmp_path_factory.mktemp("client")))
    with pytest.MonkeyPatch.context() as patch:
        for user in (grammar_cost, random_calls):
            patch.setattr(user, "claude_tools", lambda folder: recorded())
        yield


def figure(**more: object) -> Figure:
    plain: dict[str, object] = {
        "bench": "b",
        "metric": "m",
        "unit": "ms",
        "value": 4.0,
        "peer": Peer("p", 2.0),
        "ratio": 2.0,
        "runs": 1,
    }
    return Figure(**(plain | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("more", "ok"),
    [
        ({}, True),
        ({"target": 5.0}, True),
        ({"target": 3.0}, False),
        ({"target": 0.95, "bound": "at least", "on": "ratio"}, True),
        ({"target": 2.5, "bound": "at least", "on": "ratio"}, False),
    ],
    ids=["no target", "below", "above", "ratio reached", "ratio missed"],
)
def test_a_figure_knows_whether_its_target_is_met(more: dict[str, object], ok: bool) -> None:
    assert figure(**more).ok is ok


def test_an_answer_that_came_in_one_read_is_asked_for_again_since_it_has_no_speed() -> None:
    """Where other processes hold the cores, a short answer lies in the socket before the first read."""
    events = b"data: delta\n\ndata: delta\n\n"
    answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (
        len(events),
        events,
    )
    asked = []

    def serve() -> None:
        for _ in range(decode.ATTEMPTS):
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(1 << 16))
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        serving = Thread(target=serve, daemon=True)
        serving.start()
        with pytest.raises(RuntimeError, match="one read each: this machine is too busy"):
            decode.timed(f"http://127.0.0.1:{server.getsockname()[1]}", "/v1/x", {}, delta=b"delta")
        serving.join()
    assert len(asked) == decode.ATTEMPTS


def test_the_chunk_that_tells_the_role_is_no_delta() -> None:
    """It comes before prefill; counted as the first delta, prefill would be part of decoding's time."""
    head = CompletionHead("chatcmpl-1", 1, "bench")
    assert decode.ENGINE_DELTA not in orjson.dumps(head.delta({"role": "assistant", "content": ""}))
    assert decode.ENGINE_DELTA in orjson.dumps(head.delta({"content": "word"}))


async def test_a_stream_s_gaps_are_those_between_its_deltas_also_of_one_read_or_of_a_cut_one() -> None:
    pieces = [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b'"text_del',
        b'ta"',
        b'"text_delta" "text_delta"',
        b"\r\n0\r\n\r\n",
    ]

    class Pieces(asyncio.StreamReader):
        async def read(self, n: int = -1) -> bytes:
            return pieces.pop(0) if pieces else b""

    timed = TimedReader("http://127.0.0.1:1")
    timed.is_timing = True
    await timed.read_answer(Pieces())
    assert len(timed.gaps_ms) == 2
    assert timed.gaps_ms[0] > timed.gaps_ms[1] == 0.0
    assert gaps.p99(list(range(101))) == 99.0
    with pytest.raises(RuntimeError, match="answered with b''"):
        await timed.read_answer(Pieces())


@pytest.mark.slow
@pytest.mark.timeout(300)  # several servers each, some of them with a model: long where others take the cores
@pytest.mark.parametrize(
    "name",
    [
        "proxy_overhead",
        "decode",
        "cache_index",
        "side_by_side",
        "turn_latency",
        "scheduling",
        "grammar_cost",
        "random_calls",
        "redaction",
        "trace_analysis",
        "screen",
    ],
)
def test_each_bench_runs_and_prints_a_line_a_figure(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--only", name, "--quick"])

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) >= 2
    for line in lines:
        assert set(line) == FIELDS
        assert line["bench"] == name
        assert line["peer"]["name"]


def test_of_no_text_that_models_write_a_call_is_lost_or_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [
        # Letter by letter in 14 families the table's 100 KB of code take most of the time.
        replace(case, calls=tuple({**call, "content": call["content"][:5000]} for call in case.calls))
        if "100 KB" in case.name
        else case
        for case in tool_parsers.cases()
    ]
    monkeypatch.setattr(tool_parsers, "cases", lambda: cases)
    tool_parsers.main()

    head, _, *rows = capsys.readouterr().out.splitlines()
    assert [name.strip() for name in head.split("|")[2:-1]] == [family.name for family in tool_parsers.SHOWN]
    assert len(rows) == len(cases)
    for row in rows:
        ours = [cell.partition("/")[0].strip() for cell in row.split("|")[2:-1]]
        assert set(ours) <= {"right", "–"}, row


@pytest.mark.parametrize(
    ("prompts", "tokens"),
    [
        ([], 0),
        ([[1, 2, 3]], 3),
        ([[1, 2, 3], [1, 2, 3]], 4),  # the last token is always computed
        ([[1, 2, 3], [1, 2, 4, 5]], 5),
        ([[1, 2], [9], [1, 2, 3]], 4),
    ],
)
def test_the_floor_is_each_distinct_prefix_once(prompts: list[list[int]], tokens: int) -> None:
    assert floor(prompts) == tokens

"""What it takes to analyze and to search many traces, beside the least that such a reading takes.

Files are of the size of Claude Code's first request; the index of the larger number is filled without files.
Processor time, since that is what an analysis beside a running host takes from it; and a host's memory.
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from bench import host_memory
from bench.claude_request import anthropic_body, prose
from bench.figure import Figure, Peer
from engine.process.private_files import write_private
from proxy.events.tool_call import ToolCall
from proxy.events.types import CacheMiss, CacheVerdict, Timings, Usage
from proxy.traces.analysis.analysis import analyze
from proxy.traces.analysis.search import search
from proxy.traces.analysis.why import explain
from proxy.traces.files import TRACES_FOLDER, trace_files, trace_path
from proxy.traces.index import IndexEntry, TraceIndex
from proxy.traces.listing.order import Order
from proxy.traces.listing.turns import turns_around
from proxy.traces.opened_index import opened_index
from proxy.traces.schema import Trace, TraceRequest, TraceResponse

FILES_S, INDEX_S, SEARCH_MS = 3.0, 1.0, 100.0
PAGE_MS, END_MS, OPEN_MS = 100.0, 50.0, 50.0
_FILES, _ROWS, _QUICK_FILES, _QUICK_ROWS = 10_000, 100_000, 60, 2_000
_EVERY_S, _SESSION = 20.0, 40
_BEGAN = time.time() - 25 * 86_400.0  # younger than what a host removes
_NEEDLE = "needle in a haystack"


def measure(folder: Path, *, quick: bool = False) -> list[Figure]:
    """All in this process, one after the other."""
    files, rows = (_QUICK_FILES, _QUICK_ROWS) if quick else (_FILES, _ROWS)
    home = folder / "home"
    found = [
        _from_files(folder / "files", files),
        *_from_index(home / TRACES_FOLDER, rows, 3 if quick else 9),
    ]
    paths = (trace_path("mlx", _BEGAN + number * _EVERY_S, f"req_{number:08d}") for number in range(rows))
    return [*found, *host_memory.figures(home, paths, folder)]


def _from_files(folder: Path, count: int) -> Figure:
    first = anthropic_body("claude-x")
    for number, trace in enumerate(_traces(count)):
        later = first | {"messages": [*first["messages"], *trace.request.body["messages"][1:]]}
        trace.request.body = trace.upstream = later if number % _SESSION else first
        write_private(folder / trace_path("mlx", trace.time, trace.id), orjson.dumps(trace.model_dump()))

    def read_and_parse() -> None:
        for path in trace_files(folder):
            orjson.loads((folder / path).read_bytes())

    def analyzed() -> None:
        with opened_index(folder, notice=print) as index:
            assert analyze(index).total.requests == count

    floor, took = _processor_s(read_and_parse), _processor_s(analyzed)
    return Figure(
        bench="trace_analysis",
        metric=f"analyzing {count:,} traces without an index",
        unit="s of CPU",
        value=took,
        peer=Peer("reading and parsing the files", floor),
        ratio=took / floor,
        target=FILES_S,
        runs=1,
    )


def _from_index(folder: Path, count: int, runs: int) -> Iterator[Figure]:
    index = TraceIndex(folder, notice=print)
    batch: list[IndexEntry] = []
    for trace in _traces(count):
        batch.append(IndexEntry.of(trace, trace_path("mlx", trace.time, trace.id), 1))
        if len(batch) == 500:
            index.put(batch)
            batch = []
    index.put(batch)
    ours = [_processor_s(lambda: analyze(index)) for _ in range(runs)]
    floor = [_processor_s(lambda: index.select("SELECT * FROM requests")) for _ in range(runs)]
    name = f"analyzing {count:,} traces from the index"
    yield _figure(name, "s of CPU", ours, "fetching their rows", floor, INDEX_S)
    found = [_processor_s(lambda: _searched(index)) * 1e3 for _ in range(runs)]
    every = "SELECT count(*) FROM texts WHERE instr(text, ?)"
    scans = [_processor_s(lambda: index.select(every, (_NEEDLE,))) * 1e3 for _ in range(runs)]
    name = f"searching {count:,} traces"
    yield _figure(name, "ms of CPU", found, "SQLite's instr() in each text", scans, SEARCH_MS)
    yield from _pages(index, count, runs)
    index.close()


def _pages(index: TraceIndex, count: int, runs: int) -> Iterator[Figure]:
    """Pages of the list: its ends, also in another order, and those of filters; what came when; calls."""
    scan = "SELECT count(*) FROM traces WHERE instr(words, 'zzzz')"
    floor = [_processor_s(lambda: index.select(scan)) * 1e3 for _ in range(runs)]
    pages: tuple[tuple[str, float, dict[str, Any]], ...] = (
        ("first page", PAGE_MS, {}),
        ("last page", END_MS, {"offset": count - 100}),
        ("filter: a rare word", SEARCH_MS, {"query": "zzzz"}),
        (
            "filter: fields and figures",
            SEARCH_MS,
            {"query": "lane:main tool:read ttft>8s is:missed since:9999d"},
        ),
        ("filter: full text", SEARCH_MS, {"query": f'"{_NEEDLE}"'}),
        ("slowest first", PAGE_MS, {"order": Order.of("took")}),
        ("slowest first, its end", END_MS, {"order": Order.of("took"), "offset": count - 100}),
        ("slowest first, its middle", PAGE_MS, {"order": Order.of("took"), "offset": count // 2}),
        ("slowest first of a lane", PAGE_MS, {"order": Order.of("took"), "query": "lane:main"}),
        ("the page of a moment", PAGE_MS, {"around": repr(_BEGAN + count * _EVERY_S / 3)}),
    )
    for what, target, asked in pages:
        page = functools.partial(index.page, limit=100, **asked)
        took = [_processor_s(page) * 1e3 for _ in range(runs)]
        name = f"list of {count:,} traces, {what}"
        yield _figure(name, "ms of CPU", took, "SQLite's instr() in each row's words", floor, target)
    ends = _BEGAN + count * _EVERY_S
    for what, ask in (
        ("what came when", functools.partial(index.histogram, until=ends)),
        ("what came when, of a rare word", functools.partial(index.histogram, until=ends, query="zzzz")),
        ("a day's failed calls", functools.partial(index.calls, since=ends - 86_400.0, failed=True)),
    ):
        took = [_processor_s(ask) * 1e3 for _ in range(runs)]
        name = f"list of {count:,} traces, {what}"
        yield _figure(name, "ms of CPU", took, "SQLite's instr() in each row's words", floor, PAGE_MS)
    chance = random.Random(2)
    opened = [
        _trace(number, chance, "")
        for number in range(count // (2 * runs), count, count // runs)  # all over the days
    ]
    took = [_processor_s(functools.partial(_told_of, trace, index)) * 1e3 for trace in opened[:runs]]
    name = f"list of {count:,} traces, what a trace is told with when it opens"
    yield _figure(name, "ms of CPU", took, "SQLite's instr() in each row's words", floor, OPEN_MS)


def _told_of(trace: Trace, index: TraceIndex) -> None:
    assert turns_around(trace, index).total > 1
    explain(trace, index)


def _searched(index: TraceIndex) -> None:
    assert search(index, _NEEDLE).total > 0


def _figure(
    metric: str, unit: str, ours: list[float], peer: str, theirs: list[float], target: float
) -> Figure:
    return Figure(
        bench="trace_analysis",
        metric=metric,
        unit=unit,
        value=median(ours),
        peer=Peer(peer, median(theirs)),
        ratio=median(ours) / median(theirs),
        target=target,
        runs=len(ours),
    )


def _traces(count: int) -> Iterator[Trace]:
    chance = random.Random(1)
    texts = [prose(800, seed=seed) for seed in range(200)]
    for number in range(count):
        text = texts[chance.randrange(len(texts))] + (f" {_NEEDLE}" if number % 997 == 0 else "")
        yield _trace(number, chance, text)


def _trace(number: int, chance: random.Random, text: str) -> Trace:
    first = chance.uniform(0.2, 9.0)
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Begin."},
        {"role": "assistant", "content": "I begin."},
        {"role": "user", "content": text},
    ]
    miss = CacheMiss(reason="diverged", position=9, segment="message 3", before="on main", now="on dev")
    return Trace(
        id=f"req_{number:08d}",
        time=_BEGAN + number * _EVERY_S,
        session=f"session-{number // _SESSION}",
        lane=chance.choice(("main", "main", "subagent", "auxiliary")),
        backend="mlx",
        model="claude-x",
        request=TraceRequest(body={"messages": messages}),
        response=TraceResponse(status=200, message={"content": [{"type": "text", "text": "It is done."}]}),
        timings=Timings(prefill_start=0.1, first_token=first, last_token=first + 2, done=first + 2.1),
        usage=Usage(
            input_tokens=9, cache_creation_input_tokens=900, cache_read_input_tokens=9000, output_tokens=50
        ),
        cache=CacheVerdict(prompt_tokens=9909, matched_tokens=9000, miss=miss if number % 5 == 0 else None),
        tool_calls=[ToolCall(id=f"toolu_{number}", name="Read", input={}, verdict="valid", is_error=False)],
    )


def _processor_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began

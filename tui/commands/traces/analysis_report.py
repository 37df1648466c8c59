"""An analysis of traces as text: sums, a chart, tables. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from proxy.traces.analysis.analysis import Analysis, MissGroup, SlowRequest, ToolGroup
from proxy.traces.analysis.groups import Group, Percentiles
from proxy.traces.analysis.prices import money
from proxy.traces.analysis.sums import RequestSums
from tui.client.figures import NONE, count, day_and_clock, percent, plural, rate, seconds
from tui.client.wire_text import hanging, line_text, shorten, shorten_middle, width

NAME_CELLS = 26
BAR_CELLS = 50
LABEL_CELLS = 11
INDENT = "  "
MOST_GROUPS = 10
TEXT_CELLS = 96
_CAUSES = {  # of an eviction, as the screen says them
    "room": "evicted to make room",
    "memory": "evicted for memory",
    "fault": "removed, as the device failed",
    "dropped": "dropped by you",
    "flushed": "flushed by you",
}
READ, CREATED, INPUT = "█", "▒", "░"

_GROUP_HEAD = (
    "requests", "failed", "hit", "tokens hit", "input", "created", "read", "output",
    "TTFT 50%", "90%", "99%", "TTFT warm", "TTFT cold", "tok/s 50%", "10%", "saved",
)  # fmt: skip
_BESIDE = ("90%", "99%", "10%")  # say nothing without the column before them


def analysis_report(found: Analysis, columns: int = 160) -> str:
    """The whole analysis for a terminal of so many columns; sections without a row are left out."""
    room = max(NAME_CELLS + 20, columns - len(INDENT))
    lines = [line for text in total_lines(found) for line in hanging(text, columns, LABEL_CELLS)]
    unit = "hour" if found.hours else "day"
    lines += section(f"tokens of prompts, by {unit}", chart(found.hours or found.days, room))
    for name, groups in (
        ("backend", found.backends),
        ("model", found.models),
        ("lane", found.lanes),
        ("day", found.days[::-1]),
        ("session", found.sessions),
    ):
        lines += section(f"by {name}", group_table(groups, room, priced=found.priced))
    lines += section("misses, the costliest first", miss_lines(found.misses, room))
    lines += section("tools", _tools(found.tools, room))
    lines += section("slowest", _slowest(found.slowest, room))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def total_lines(found: RequestSums) -> Iterator[str]:
    """The sums of all requests, a line each, whose labels take `LABEL_CELLS`."""
    total = found.total
    failed = f", {total.failed:,} failed" if total.failed else ""
    left = f", {total.cancelled:,} cancelled" if total.cancelled else ""
    yield f"requests   {total.requests:,}{failed}{left}"
    yield (
        f"hit rate   {percent(total.request_hit_rate, 1)} of requests, {percent(total.token_hit_rate, 1)} of"
        " prompt tokens"
    )
    yield (
        f"tokens     {total.prompt:,} in prompts ({total.read:,} restored, {total.created:,}"
        f" cached, {total.input:,} not kept), {total.output:,} out"
    )
    yield f"TTFT       {_spread(total.ttft_s, seconds)}"
    for name, values in (("warm", total.ttft_warm_s), ("cold", total.ttft_cold_s)):
        if values is not None:
            yield f"  {name}     {_spread(values, seconds)}  ({values.count:,})"
    yield f"tokens/s   {_spread(total.tokens_per_s, rate)}"
    yield f"saved      {count(total.read)} tokens of prefill{_time_saved(total.saved_s)}"
    yield f"price      {_price(found)}"


def _spread(values: Percentiles | None, form: Callable[[float], str]) -> str:
    if values is None:
        return "not measured"
    parts = (("10%", values.p10), ("50%", values.p50), ("90%", values.p90), ("99%", values.p99))
    return "  ".join(f"{name} {form(value)}" for name, value in parts)


def _time_saved(saved: float | None) -> str:
    if saved is None:
        return "; no long prefill was measured, so the time saved is not known"
    return f", about {seconds(saved)} at the measured speed of prefill"


def _price(found: RequestSums) -> str:
    total = found.total
    if not found.priced:
        return 'no "prices" in the configuration; "traces analyze --help" shows how to name them'
    if total.cost is None:
        return "the configuration has no price for these models"
    without = (
        f", without {plural(total.unpriced, 'request')} that it has no price for" if total.unpriced else ""
    )
    return f"the same tokens would have cost {money(total.cost)} by the configuration's prices{without}"


def section(title: str, lines: Iterator[str]) -> list[str]:
    """Indented lines below a title; nothing where there are none."""
    body = list(lines)
    return ["", title, *(INDENT + line for line in body)] if body else []


def chart(groups: Sequence[Group], room: int) -> Iterator[str]:
    """A bar of each group's prompt tokens, by what became of them."""
    most = max((group.prompt for group in groups), default=0)
    if not most:
        return
    names = [_name(group.name or "-", room) for group in groups]
    first = max(10, *map(width, names))
    cells = max(10, min(BAR_CELLS, room - first - 16))
    for name, group in zip(names, groups, strict=True):
        full = round(cells * group.prompt / most)
        # Rounded sums, so that the parts add up to the whole bar.
        read = round(cells * group.read / most)
        created = max(read, round(cells * (group.read + group.created) / most))
        bar = READ * read + CREATED * (created - read) + INPUT * (full - created)
        hit = percent(group.token_hit_rate)
        yield f"{name}{' ' * (first - width(name))}  {bar:<{cells}}  {count(group.prompt):>5}  {hit:>4}"
    yield f"{'':<{first}}  {READ} restored  {CREATED} cached  {INPUT} not kept"


def group_table(groups: Sequence[Group], room: int, *, priced: bool) -> Iterator[str]:
    """The first groups, a line each, in as many tables as their columns need."""
    shown = groups[:MOST_GROUPS]
    head = [*_GROUP_HEAD, "price"] if priced else [*_GROUP_HEAD]
    yield from _table(head, [(group.name or "-", _cells(group, priced=priced)) for group in shown], room)
    if len(groups) > len(shown):
        yield f"and {len(groups) - len(shown):,} more; --json has them all"


def _cells(group: Group, *, priced: bool) -> list[str]:
    ttft, speed = group.ttft_s, group.tokens_per_s
    cells = [
        f"{group.requests:,}",
        f"{group.failed:,}" if group.failed else NONE,
        percent(group.request_hit_rate),
        percent(group.token_hit_rate),
        count(group.input),
        count(group.created),
        count(group.read),
        count(group.output),
        *(seconds(value) for value in ((ttft.p50, ttft.p90, ttft.p99) if ttft else (None,) * 3)),
        *(seconds(part.p50 if part else None) for part in (group.ttft_warm_s, group.ttft_cold_s)),
        *(rate(value) for value in ((speed.p50, speed.p10) if speed else (None,) * 2)),
        seconds(group.saved_s),
    ]
    return [*cells, NONE if group.cost is None else money(group.cost)] if priced else cells


def miss_lines(misses: Sequence[MissGroup], room: int) -> Iterator[str]:
    """What could have been restored, by cause and place."""
    for miss in misses:
        where = f" in {line_text(miss.segment)}" if miss.segment else ""
        yield from hanging(
            f"{_cause(miss)}{where}: {plural(miss.requests, 'request')}, {miss.tokens:,} tokens computed;"
            f" the costliest is {miss.trace}" + (f" at token {miss.position:,}" if miss.position else ""),
            room,
            2,
        )
        for name, text in (("before", miss.before), ("now", miss.now)):
            if text:
                yield f"  {name:<7}{shorten(line_text(text), min(TEXT_CELLS, room - 9))}"


def _cause(miss: MissGroup) -> str:
    return _CAUSES.get(miss.cause, miss.reason) if miss.reason == "evicted" else miss.reason


def _tools(tools: Sequence[ToolGroup], room: int) -> Iterator[str]:
    head = ["calls", "valid", "repaired", "as text", "truncated", "results", "errors", "rate", "mean time"]
    rows = []
    for tool in tools:
        became = (tool.calls, tool.valid, tool.repaired, tool.as_text, tool.truncated)
        counts = [f"{number:,}" if number else NONE for number in (*became, tool.results, tool.errors)]
        errors = percent(tool.errors / tool.results) if tool.results else NONE
        rows.append((tool.name, [*counts, errors, seconds(tool.mean_s)]))
    yield from _table(head, rows, room)


def _slowest(requests: Sequence[SlowRequest], room: int) -> Iterator[str]:
    for one in requests:
        yield from hanging(
            f"{seconds(one.duration_s):>6}  {one.id}  {day_and_clock(one.time)}  {one.lane:<10}"
            f"  TTFT {seconds(one.ttft_s)}, prompt {count(one.prompt)} ({count(one.read)} read),"
            f" output {count(one.output)}",
            room,
            8,
        )


def _table(head: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]], room: int) -> Iterator[str]:
    """A table; columns that do not fit beside the others follow in another one with the same names."""
    if not rows:
        return
    names = [_name(name, room) for name, _ in rows]
    first = max(width(name) for name in names)
    columns = [
        [f"{text:>{max(map(width, column))}}" for text in column]
        for column in zip(head, *(row for _, row in rows), strict=True)
    ]
    while columns:
        taken, used = 0, first
        while taken < len(columns) and (not taken or used + 2 + width(columns[taken][0]) <= room):
            used += 2 + width(columns[taken][0])
            taken += 1
        while 1 < taken < len(columns) and columns[taken][0].strip() in _BESIDE:
            taken -= 1
        for name, *texts in zip(["", *names], *columns[:taken], strict=True):
            yield "  ".join([name + " " * (first - width(name)), *texts])
        columns = columns[taken:]


def _name(name: str, room: int) -> str:
    return shorten_middle(line_text(name), max(12, min(NAME_CELLS, room // 5)))

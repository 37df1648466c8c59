"""One trace as text, and the list of traces as lines or as a table. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from proxy.events.causes import end_of_cancelled
from proxy.events.tool_call import ToolCall
from proxy.traces.analysis.decode_speed import decode_speed
from proxy.traces.schema import Trace, TraceSummary
from tui.client.event_text import one_line_arguments
from tui.client.figures import count, day_and_clock, percent, plural, rate, ratio, seconds, size
from tui.client.who import who_asks
from tui.client.why_text import LEAST_S
from tui.client.wire_text import hanging, line_text, shorten, width
from tui.commands.exit_codes import CommandFailed, ExitCode

LABEL_CELLS = 11
WIDTH = 110
_ENGINE_TIMES = {"render_wait_s": "waiting to render", "tokenize_s": "tokenizing", "waiting_s": "waiting"}
_BELOW = 20  # cells to the left of the second line of a row: its time's


def trace_report(trace: Trace, mark: str = "", *, columns: int = 0) -> str:
    """A trace: request, timings, usage, cache verdict, tool calls, notes, error; wrapped to so many columns.

    `mark` says that it is marked, and why.
    """
    lines: list[str] = []
    for name, step in (
        ("trace", iter([f"{trace.id}  {day_and_clock(trace.time)}"])),
        ("request", _request(trace)),
        ("answer", _answer(trace)),
        ("timings", _timings(trace)),
        ("usage", _usage(trace)),
        ("cache", _cache(trace)),
        ("calls", _calls(trace)),
        ("notes", (line_text(note) for note in trace.notes)),
        ("error", _error(trace)),
        ("mark", iter([mark] if mark else [])),
    ):
        for place, line in enumerate(step):
            text = f"{name if place == 0 else '':<{LABEL_CELLS}}{line}".rstrip()
            lines += hanging(text, columns, LABEL_CELLS)
    return "\n".join(lines) + "\n"


def summary_lines(row: TraceSummary, mark: str = "", *, columns: int = 0) -> list[str]:
    """Time, id, session, lane; prompt, hit rate, output, duration; how it ended, calls, `mark`.

    One line where it fits into so many columns, else two, the second cut to fit.
    """
    hit = percent(ratio(row.usage.cache_read_input_tokens, row.usage.prompt_tokens))
    failed = f"/{row.tool_errors} failed" if row.tool_errors else ""
    calls = f"{plural(row.tool_calls, 'call')}{failed}" if row.tool_calls else ""
    ended = row.error or row.stop_reason or str(row.status)
    who = [
        day_and_clock(row.time),
        row.id,
        f"{line_text(row.session)[:8] or '-':<8}",
        f"{row.lane:<10}",
    ]
    what = [
        f"{count(row.usage.prompt_tokens):>5}",
        f"{hit:>4}",
        f"{count(row.usage.output_tokens):>5}",
        f"{seconds(row.duration_s):>6}",
        "  ".join(part for part in (line_text(ended)[:60], calls, own_label(row.own_command), mark) if part),
    ]
    whole = "  ".join([*who, *what]).rstrip()
    if not columns or width(whole) <= columns:
        return [whole]
    below = " " * _BELOW + "  ".join(what)
    return [shorten("  ".join(who).rstrip(), columns), shorten(below.rstrip(), columns)]


def own_label(command: str) -> str:
    """How a request of this program's own is told from those of clients."""
    return f"[{command}]" if command else ""


def _request(trace: Trace) -> Iterator[str]:
    request = trace.request
    query = f"?{request.query}" if request.query else ""
    yield line_text(f"{request.method} {request.path}{query}")
    upstream = f" as {trace.upstream_model}" if trace.upstream_model else ""
    yield line_text(f"{trace.model}{upstream} on {trace.backend}")
    agent = "  ".join(part for part in (trace.agent_type, trace.agent) if part)
    own = own_label(trace.own_command)
    yield line_text(f"{trace.lane}  session {trace.session or '-'}  {agent}  {own}")


def _answer(trace: Trace) -> Iterator[str]:
    got = trace.response
    reason = (got.message or {}).get("stop_reason")
    told = [str(got.status), str(reason or ("" if got.error else "no stop reason"))]
    if got.cancelled:
        told.append(f"{end_of_cancelled(got.error.cause if got.error else '')} before its end")
    yield line_text("  ".join(filter(None, told)))


def _timings(trace: Trace) -> Iterator[str]:
    names = ("queued", "prefill_start", "first_byte", "first_token", "last_token", "done")
    told = ((name, getattr(trace.timings, name)) for name in names)
    yield "   ".join(f"{name.replace('_', ' ')} {seconds(at)}" for name, at in told if at is not None)
    engine = trace.timings.engine
    took = {} if engine is None else engine.known()
    shown = [
        f"{_ENGINE_TIMES.get(name, name[:-2].replace('_', ' '))} {seconds(value)}"
        for name, value in took.items()
        if value >= LEAST_S
    ]
    if shown:
        yield f"engine: {'   '.join(shown)}"


def _usage(trace: Trace) -> Iterator[str]:
    usage = trace.usage
    parts = (
        f"{usage.cache_read_input_tokens:,} restored, {usage.cache_creation_input_tokens:,} cached,"
        f" {usage.input_tokens:,} not kept"
    )
    speed = decode_speed(trace.timings, usage.output_tokens)
    yield f"prompt {usage.prompt_tokens:,} tokens ({parts})"
    yield f"output {usage.output_tokens:,} tokens" + (f" at {rate(speed)} tokens/s" if speed else "")
    if trace.usage_estimated:
        yield "an estimate: see the notes"


def _cache(trace: Trace) -> Iterator[str]:
    cache = trace.cache
    if cache is None:
        return
    took = f" in {seconds(cache.restore_s)}" if cache.restore_s else ""
    source = f" from {cache.tier}{took}" if cache.matched_tokens else ""
    yield f"restored {cache.matched_tokens:,} of {cache.prompt_tokens:,} tokens{source}"
    if (miss := cache.miss) is not None:
        at = f" at token {miss.position:,}" if miss.reason == "diverged" else ""
        where = f" in {line_text(miss.segment)}" if at and miss.segment else ""
        yield f"missed: {miss.reason}{at}{where}"
        for name, text in (("stored", miss.before), ("now", miss.now)):
            if text:
                yield f"{name:<7}{shorten(line_text(text), WIDTH)}"


def _calls(trace: Trace) -> Iterator[str]:
    for number, call in enumerate(trace.tool_calls, 1):
        yield f"{number}  {line_text(call.name)}  {'  '.join(_made(call))}"
        head, more = one_line_arguments(call.input, call.raw)
        yield f"   {shorten('  '.join(part for part in (head, more) if part), WIDTH)}"
        yield from (f"   repair: {line_text(repair)}" for repair in call.repairs)
        if call.detail:
            yield f"   {line_text(call.detail)}"


def _made(call: ToolCall) -> Iterator[str]:
    yield call.verdict.replace("_", " ")
    if call.family:
        yield line_text(call.family)
    if call.constrained:
        yield "grammar relaxed" if call.relaxed else "grammar"
    if call.tokens:
        yield plural(len(call.tokens), "token")
    if call.is_error is not None:
        took = f" after {seconds(call.duration_s)}" if call.duration_s is not None else ""
        yield ("error" if call.is_error else "ok") + took


def _error(trace: Trace) -> Iterator[str]:
    if trace.response.error is not None:
        yield line_text(f"{trace.response.error.type}: {trace.response.error.message}")


# -- the list as a table of chosen columns ------------------------------------------------------------

_GAP = "  "
_LEAST = 12  # cells of a text that is cut


def _who(row: TraceSummary) -> str:
    return who_asks(row.lane, row.agent_type, row.purpose)


def _did(row: TraceSummary) -> str:
    calls = [f"{call.name} {call.about}".strip() + (" ✗" if call.is_error else "") for call in row.did]
    more = [f"+{row.tool_calls - len(calls)}"] if row.tool_calls > len(calls) else []
    return ", ".join(calls + more) or row.said


_CELLS: dict[str, Callable[[TraceSummary], str]] = {
    "time": lambda row: day_and_clock(row.time),
    "id": lambda row: row.id,
    "session": lambda row: row.session[:8] or "-",
    "who": _who,
    "model": lambda row: row.model,
    "asked": lambda row: row.preview,
    "did": _did,
    "end": lambda row: row.cause or row.error or row.stop_reason or str(row.status),
    "tokens": lambda row: count(row.usage.prompt_tokens),
    "cache": lambda row: percent(ratio(row.usage.cache_read_input_tokens, row.usage.prompt_tokens)),
    "out": lambda row: count(row.usage.output_tokens),
    "calls": lambda row: str(row.tool_calls) + (f"/{row.tool_errors}✗" if row.tool_errors else ""),
    "ttft": lambda row: seconds(row.ttft_s),
    "took": lambda row: seconds(row.duration_s),
    "size": lambda row: size(row.bytes),
}
COLUMNS = tuple(_CELLS)
_RIGHT = {"tokens", "cache", "out", "calls", "ttft", "took", "size"}
_CUT = ("asked", "did", "end", "model")  # in this order, where the line is too long


def chosen_columns(text: str) -> tuple[str, ...]:
    """The columns that a user wrote, with commas between them; empty: none.

    Raises:
        CommandFailed: one of them is not known.
    """
    names = tuple(name.strip().lower() for name in text.split(",") if name.strip())
    if unknown := [name for name in names if name not in _CELLS]:
        raise CommandFailed(
            ExitCode.USAGE, f"there is no column {line_text(unknown[0])}; known: {', '.join(COLUMNS)}"
        )
    return names


def list_table(rows: Sequence[TraceSummary], names: Sequence[str], *, columns: int = 0) -> list[str]:
    """A line with the names and one for each row; long texts are cut where a line has only so many cells."""
    table = [[name.upper() for name in names]]
    table += [[line_text(_CELLS[name](row)) for name in names] for row in rows]
    wide = [max(width(line[place]) for line in table) for place in range(len(names))]
    over = sum(wide) + len(_GAP) * (len(names) - 1) - columns if columns else 0
    for name in _CUT:
        for place, column in enumerate(names):
            if column == name and over > 0:
                less = min(over, max(0, wide[place] - _LEAST))
                wide[place], over = wide[place] - less, over - less
    lines = []
    for line in table:
        cells = [
            _padded(shorten(cell, wide[place]), wide[place], right=names[place] in _RIGHT)
            for place, cell in enumerate(line)
        ]
        lines.append(_GAP.join(cells).rstrip())
    return [shorten(line, columns) for line in lines] if columns else lines


def _padded(text: str, cells: int, *, right: bool) -> str:
    blanks = " " * (cells - width(text))
    return blanks + text if right else text + blanks

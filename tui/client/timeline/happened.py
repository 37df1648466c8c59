"""What happened at a moment of the timeline: cause, what was lost, what was repeated, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from proxy.events.causes import UPSTREAM_FAULTS, is_engine_fault
from proxy.timeline.buckets import HealthSample
from proxy.timeline.health_history import HealthHistory, StateMark
from tui.client.figures import clock, day_and_clock, plural, rate, seconds, size
from tui.client.records import LogLine, RequestSnapshot, Snapshot
from tui.client.wire_text import line_text

_BEFORE_S = 3.0  # a request that broke so shortly before an end was noted broke with it
_NEAR_END_S = 90.0  # of memory that is looked at before an end
_NAMED = 6  # requests and sessions that are named
_NOT_UP = ("engine starting", "engine restarting", "engine stopped")  # causes of what met no engine
_NEXT = ("ready", "connects")
_TROUBLE = ("exited", "failed", "stalled", "refused", "restarting", "off", "stopped")
_QUIET_LEVELS = ("info", "debug")


@dataclass(frozen=True, slots=True)
class Happened:
    """A title, and what there is to say, each under a word for it.

    A key is named by its command in braces, such as `{health.restart}`: which key it is, the screen knows.
    """

    title: str
    parts: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        """All of it, for the clipboard."""
        return "\n".join([self.title, *(f"{name}: {words}" for name, words in self.parts)])


def happened(
    snapshot: Snapshot,
    history: HealthHistory,
    start: float,
    end: float,
    now: float,
    line: LogLine | None = None,
) -> Happened:
    """What happened between two moments (epoch seconds); `line` is the log's line that it is asked of."""
    marks = sorted(history.marks, key=lambda mark: mark.time)
    at = next(
        (
            number
            for state in _TROUBLE
            for number, mark in enumerate(marks)
            if mark.state == state and start <= mark.time < end
        ),
        None,
    )
    if at is None:  # in the middle of something that began before
        before = [number for number, mark in enumerate(marks) if mark.time < end]
        if before and marks[before[-1]].state in _TROUBLE:
            at = before[-1]
    title = _title(start, end, line, now)
    if at is None:
        parts = _failures(snapshot, start, end) or _quiet(snapshot, history, marks, start, end, now)
    else:
        parts = _incident(snapshot, history, marks, at, now)
    told = " ".join(words for _, words in parts).lower()
    if line is not None and line.level not in _QUIET_LEVELS and line.text.lower() not in told:
        parts = [("Log", line.text), *parts]
    return Happened(title, tuple((name, words) for name, words in parts if words))


def _title(start: float, end: float, line: LogLine | None, now: float) -> str:
    if line is not None and line.time:
        return f"At {day_and_clock(line.time) if now - line.time > 72_000 else clock(line.time)}"
    if now - start > 72_000:
        return f"{day_and_clock(start)} to {clock(end)}"
    return f"{clock(start)} to {clock(end)}"


# -- an incident ---------------------------------------------------------------------------------------------


def _incident(
    snapshot: Snapshot, history: HealthHistory, marks: Sequence[StateMark], at: int, now: float
) -> list[tuple[str, str]]:
    first = at
    chain = {"exited", "restarting", "starting", "loading", "failed"}
    while (
        first and marks[first].state in chain and marks[first - 1].state in chain and not marks[first].by_you
    ):
        first -= 1
    mark = marks[first]
    back = next((one for one in marks[first + 1 :] if one.state in _NEXT), None)
    until = back.time if back is not None else now
    took = seconds(until - mark.time)
    match mark.state:
        case "off" | "stopped":
            again = next((one for one in marks[first + 1 :] if one.state in ("host", *_NEXT)), None)
            ran = f"until {clock(again.time)} ({seconds(again.time - mark.time)})" if again else "since then"
            what = "No host ran" if mark.state == "off" else "The engine was stopped"
            if mark.detail and mark.state == "off":
                last = (
                    f"The host did not close{_because(mark.detail)}. It was last seen at {clock(mark.time)}"
                )
                then = f", and one ran again at {clock(again.time)}" if again else ""
                return [("What", f"{last}{then}.")]
            return [("What", f"{what} from {clock(mark.time)}, {ran}."), ("Lost", _nothing_lost(snapshot))]
        case "refused":
            return _outage(snapshot, mark, back, until, took)
        case "stalled":
            what = f"The engine made no progress from {clock(mark.time)} on{_because(mark.detail)}."
            return [
                ("What", f"{what} {_recovery(back, took)}"),
                *_broken(snapshot, mark.time, until),
                (
                    "Do",
                    "If it comes again, look at the log before it: one very long step, or a GPU that hangs.",
                ),
            ]
    if mark.by_you:
        what = f"You restarted the engine at {clock(mark.time)}. {_recovery(back, took)}"
        return [("What", what), *_broken(snapshot, mark.time, until), ("Do", "Nothing.")]
    failed = next((one for one in marks[first:] if one.state == "failed" and one.time <= until), None)
    cause = line_text(mark.detail) or "the engine ended"
    what = f"{_sentence(cause)} {_recovery(back, took)}"
    if failed is not None and back is None:
        what = (
            f"{_sentence(cause)} It has failed for good: {line_text(failed.detail) or 'no restart helped'}."
        )
    return [
        ("What", what),
        *_broken(snapshot, mark.time, until),
        ("Do", _advice(cause, back is None and failed is not None)),
        ("Memory", _memory_before(history, mark.time, now)),
    ]


def _recovery(back: StateMark | None, took: str) -> str:
    if back is None:
        return "It has not come back yet."
    return f"It was ready again after {took}, at {clock(back.time)}."


def _because(detail: str) -> str:
    return f": {line_text(detail)}" if detail else ""


def _sentence(text: str) -> str:
    text = text.rstrip(". ")
    return f"{text[:1].upper()}{text[1:]}."


def _memory_before(history: HealthHistory, moment: float, now: float) -> str:
    [sample] = history.samples.cells(moment - _NEAR_END_S, _NEAR_END_S, 1, now)
    if sample is None or not sample.memory_bytes:
        return ""
    used = f"It held {size(sample.memory_bytes)} just before"
    return f"{used}, of {size(sample.limit_bytes)} allowed." if sample.limit_bytes else f"{used}."


def _broken(snapshot: Snapshot, start: float, end: float) -> list[tuple[str, str]]:
    """The requests that broke with the engine, and what became of them."""
    broke = [
        record
        for record in snapshot.requests
        if record.phase == "failed"
        and record.ended is not None
        and start - _BEFORE_S <= record.ended <= end
        and is_engine_fault(record.cause)
    ]
    if not broke:
        return [("Lost", _nothing_lost(snapshot))]
    repeated = [record for record in broke if record.repeat is not None]
    answered = [record for record in repeated if record.repeat and record.repeat[1] == "done"]
    open_ = [record for record in broke if record.repeat is None]
    parts = [_broken_or_refused(broke)]
    if repeated:
        times = ", ".join(sorted({clock(one.repeat[0]) for one in repeated if one.repeat})[:_NAMED])
        done = "all answered: nothing was lost"
        if len(answered) < len(broke):
            done = f"{len(answered)} answered"
        parts.append(("Repeated", f"{len(repeated)} of {len(broke)} by the client ({times}), {done}."))
    if open_:
        parts.append(("Lost", f"{_names(open_)} {'was' if len(open_) == 1 else 'were'} not repeated."))
    return parts


def _broken_or_refused(broke: Sequence[RequestSnapshot]) -> tuple[str, str]:
    """How many were broken off, and how many came while no engine was up: each new try counts."""
    refused = [record for record in broke if record.cause in _NOT_UP and not _had_begun(record)]
    running = [record for record in broke if record not in refused]
    if not running:
        return ("Refused", f"{plural(len(refused), 'request')}: {_names(refused)}; told to retry.")
    more = f"; {len(refused)} more, told to retry while it was not up: {_names(refused)}" if refused else ""
    return ("Broke", f"{plural(len(running), 'request')}: {_names(running)}{more}.")


def _had_begun(record: RequestSnapshot) -> bool:
    return record.prefill is not None or record.output_tokens > 0


def _nothing_lost(snapshot: Snapshot) -> str:
    """Without requests that broke; of a time that the screen does not know requests of, nothing is said."""
    return "nothing: no request broke." if snapshot.requests else ""


def _names(records: Sequence[RequestSnapshot]) -> str:
    named = [record.session[:6] or record.id[-6:] for record in records]
    distinct = list(dict.fromkeys(named))
    more = f" and {len(distinct) - _NAMED} more" if len(distinct) > _NAMED else ""
    return ", ".join(distinct[:_NAMED]) + more


def _advice(cause: str, final: bool) -> str:
    low = cause.lower()
    if "signal 9" in low or "memory" in low:
        return (
            "If memory was the cause: lower memoryLimitBytes or prefixCacheBytes, take a smaller model"
            " ({main.models}), or close other programs. What was cached on disk comes back by itself."
        )
    if "port" in low:
        return "End the program that has the port, or leave enginePort unset; then {health.restart}."
    if "metal" in low or "gpu" in low or "native code" in low:
        return (
            "Send a bug report with the lines of the log before it;"
            " until then a restart ({health.restart}) helps."
        )
    if final:
        return "Fix what the log says just before it, then press {health.restart}."
    return "Read the log's lines just before it (↑); {health.restart} restarts the engine."


def _outage(
    snapshot: Snapshot, mark: StateMark, back: StateMark | None, until: float, took: str
) -> list[tuple[str, str]]:
    name = snapshot.host.backend if snapshot.host else "the upstream"
    end = f"until {clock(back.time)} ({took})" if back is not None else "and does not yet"
    what = f"{name} did not accept connections from {clock(mark.time)} {end}{_because(mark.detail)}."
    failed = [
        record
        for record in snapshot.requests
        if record.phase == "failed"
        and record.ended is not None
        and mark.time - _BEFORE_S <= record.ended <= until
        and record.cause in UPSTREAM_FAULTS
    ]
    broke = (
        f"{plural(len(failed), 'request')}: {_names(failed)}." if failed else "nothing: no request failed."
    )
    where = snapshot.engine.url if snapshot.engine is not None else ""
    todo = f"Start the server at {line_text(where)}, or correct baseUrl." if back is None else "Nothing."
    return [("What", what), ("Failed" if failed else "Lost", broke), ("Do", todo)]


# -- no incident ---------------------------------------------------------------------------------------------


def _failures(snapshot: Snapshot, start: float, end: float) -> list[tuple[str, str]]:
    """Requests that failed in this time for a reason of their own."""
    failed = [
        record
        for record in snapshot.requests
        if record.phase == "failed" and record.ended is not None and start <= record.ended < end
    ]
    if not failed:
        return []
    causes = "; ".join(f"{_names([record])}: {record.cause}, {record.error}" for record in failed[:3])
    again = [record for record in failed if record.repeat is not None and record.repeat[1] == "done"]
    repeated = f"{len(again)} of {len(failed)} answered at a repeat." if again else ""
    return [
        ("What", f"{plural(len(failed), 'request')} failed. {causes}."),
        ("Repeated", repeated),
        ("Do", "{main.why} on the line of a request tells why; {main.open_trace} opens its trace."),
    ]


def _quiet(
    snapshot: Snapshot,
    history: HealthHistory,
    marks: Sequence[StateMark],
    start: float,
    end: float,
    now: float,
) -> list[tuple[str, str]]:
    before = [mark for mark in marks if mark.time < end]
    [sample] = history.samples.cells(start, max(end - start, 1.0), 1, now)
    if not before and sample is None:
        return [
            (
                "What",
                "Nothing is known of this time: no host kept its health, or it is longer ago than a week.",
            )
        ]
    state = before[-1].state if before else ""
    words = {
        "ready": "The engine was up",
        "connects": "The upstream accepted connections",
        "loading": "The model was loading",
        "starting": "The engine was starting",
        "host": "The host had just started",
    }
    who = _who_ran(snapshot, history, start, end)
    return [("What", f"{words.get(state, 'Nothing went wrong')}; {who}{_figures(sample)}.")]


def _who_ran(snapshot: Snapshot, history: HealthHistory, start: float, end: float) -> str:
    ran = {
        record.id: record.session
        for record in snapshot.requests
        if record.received < end and (record.ended is None or record.ended >= start)
    }
    for span in history.spans:
        if span.start < end and span.end >= start:
            ran.setdefault(span.request or str(span.start), span.session)
    if not ran:
        return "no request ran"
    sessions = len(set(ran.values()))
    return f"{plural(len(ran), 'request')} of {plural(sessions, 'session')} ran"


def _figures(sample: HealthSample | None) -> str:
    if sample is None:
        return ""
    words = [f", {rate(sample.tokens)} tokens/s were written"] if sample.tokens else []
    if sample.memory_bytes:
        limit = f" of {size(sample.limit_bytes)}" if sample.limit_bytes else ""
        words.append(f", memory up to {size(sample.memory_bytes)}{limit}")
    if sample.probes:
        answered = f"answered within {seconds(sample.latency_s)}"
        words.append(f", {plural(sample.probes, 'probe')} {answered}")
        if sample.failed:
            words[-1] = f", {sample.failed} of {plural(sample.probes, 'probe')} failed"
    return "".join(words)

"""How engine or upstream stand now, in a line or two; and what one knows of model, memory, restarts, host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import bundled_model
from proxy.events.causes import RESTART_REQUESTED
from proxy.timeline.health_history import HealthHistory
from tui.client.figures import clock, percent, plural, rate, seconds, size
from tui.client.records import Snapshot
from tui.client.wire_text import line_text, shorten, shorten_middle
from tui.screen.charts import bar
from tui.screen.engine_label import (
    ENGINE_STYLES,
    UPSTREAM_FAULTS,
    gone_label,
    last_result,
    upstream_label,
    uses_other_backend,
)
from tui.screen.keymap import key_of, with_keys
from tui.screen.styled_line import Line, joined, label_rows, line_width, plain_text, spread

if TYPE_CHECKING:
    from proxy.events.types import EngineMemory, EngineState, Probe

ADVICE = {
    "failed": "It does not restart by itself. Fix what its log says, then press {health.restart}.",
    "stalled": (
        "It makes no progress with its work. It is restarted if that lasts; {health.restart} restarts it now."
    ),
    "exited": "It ended. It is restarted unless five restarts in a row have failed.",
    "stopped": "It is not running. {health.restart} starts it.",
}
FORGIVEN_S = 600.0  # of a run, after which the limit of restarts is whole again (`RestartPolicy`)
DAY_S = 86_400.0
_SPEEDS = 20  # newest answers, of which the median speed is shown
_LABEL = 11


def engine_lines(snapshot: Snapshot, now: float, width: int) -> list[Line]:
    """The state, and below it what to do or to know."""
    engine = snapshot.engine
    if engine is None:
        waiting: Line = [("Waiting for the host …", "muted")]
        if snapshot.link.detail:
            waiting = [("No host answers: ", "warn"), (snapshot.link.detail, "warn")]
        return [[("  ", ""), *waiting]]
    if snapshot.link.state == "starting":
        again: Line = [("  ● ", "warn"), ("STARTING", "warn bold"), ("  the host is started again", "")]
        return [again, [("    ", ""), ("Until it answers, all below is of the one before.", "muted")]]
    if snapshot.link.gone:
        return _gone_lines(snapshot, engine, width)
    other = uses_other_backend(snapshot) and snapshot.host is not None
    lines = _upstream_lines(snapshot, now, width) if other else [_state_line(snapshot, engine, now, width)]
    if snapshot.stopping:
        return [lines[0], [("    ", ""), (shorten(_stopping(snapshot), width - 6), "warn")]]
    if other:
        return lines
    advice = with_keys(_advice(engine.state, recorded=snapshot.link.recorded))
    if engine.state == "loading" and engine.progress is not None:
        loading = bar([(engine.progress, "warn")], min(60, width - 10))
        lines.append([("    ", ""), *loading, (f" {percent(engine.progress)}", "warn")])
    elif advice:
        lines.append([("    ", ""), (shorten(advice, width - 6), "warn")])
    return lines


def _stopping(snapshot: Snapshot) -> str:
    """That the host ends, what it waits for, and how to wait no longer."""
    waits = f"after {plural(len(snapshot.active), 'request')}" if snapshot.active else "now"
    said = f"The host ends {waits}; new ones are refused."
    return said if snapshot.link.recorded else f"{said} {key_of('health.stop')} ends it at once."


def _advice(state: str, *, recorded: bool) -> str:
    """What to do or to know in this state; of a recording there is nothing to do, so no key is named."""
    advice = ADVICE.get(state, "")
    told = [sentence for sentence in advice.split(". ") if "{" not in sentence] if recorded else [advice]
    return ". ".join(told).removesuffix(".") + "." if any(told) else ""


def _gone_lines(snapshot: Snapshot, engine: EngineState, width: int) -> list[Line]:
    """What was known of the engine when the host went, and what the user can do."""
    word, style = gone_label(snapshot)
    since = f"host gone since {clock(snapshot.link.since)}"
    was = since if uses_other_backend(snapshot) else f"was {engine.state}, {since}"
    todo = f"{key_of('health.restart')} starts the host again; traces are kept. All below is from before."
    if snapshot.link.state == "reconnecting":
        todo = f"{snapshot.link.detail}. It is asked again every few seconds; all figures are from before."
    return [
        [("  ● ", style), (word.upper(), f"{style} bold"), (f"  {was}", "")],
        [("    ", ""), (shorten(todo, width - 6), "warn")],
    ]


def _upstream_lines(snapshot: Snapshot, now: float, width: int) -> list[Line]:
    """Who answers in place of an engine, and how its newest probe and the newest request fared."""
    name = snapshot.host.backend if snapshot.host else ""
    label, style = upstream_label(snapshot)
    last = last_result(snapshot)
    probed, probe = snapshot.probes[-1] if snapshot.probes else (0.0, None)
    said: Line = []
    if probe is not None:
        ago = f"{seconds(now - probed)} ago" if probed else ""
        if probe.ok:
            said = [(f"It accepts connections ({seconds(probe.latency_s)}, {ago})", "muted")]
        else:
            said = [(f"It does not accept connections: {line_text(probe.detail)} ({ago})", "bad")]
    if last is None:
        unasked = "no request has been answered yet" if said else "It was not probed: the first request tells"
        said = [*said, ("; " if said else "", "muted"), (unasked, "muted")]
    elif last.cause in UPSTREAM_FAULTS:
        said = [(f"{clock(last.ended)}  {last.error}", "bad"), *([(". ", ""), *said] if said else [])]
    else:
        said = [(f"It answered at {clock(last.ended)}", "muted"), *([(". ", "muted"), *said] if said else [])]
    below: Line = [("    ", ""), (shorten(plain_text(said), width - 6), style if style == "bad" else "muted")]
    if style == "bad":
        since = failing_since(snapshot)
        words = f"  since {clock(since)}" if since else ""
        return [[("  ● ", style), (label, f"{style} bold"), (words, "")], below]
    dot = "●" if style == "ok" else "○"
    return [[(f"  {dot} ", style), (f"Requests go to {name}; this host runs no engine.", "")], below]


def failing_since(snapshot: Snapshot) -> float | None:
    """The first failure of the upstream, by a request or a probe, that nothing good has followed."""
    since = None
    results = [
        (record.ended, record.cause in UPSTREAM_FAULTS)
        for record in snapshot.requests
        if record.phase in ("done", "failed") and record.ended
    ]
    results += [(moment, not probe.ok) for moment, probe in snapshot.probes]
    for moment, failed in sorted(results, reverse=True):
        if not failed:
            break
        since = moment
    return since


def _state_line(snapshot: Snapshot, engine: EngineState, now: float, width: int) -> Line:
    style = ENGINE_STYLES.get(engine.state, "muted")
    line: Line = [("  ● ", style), (engine.state.upper(), f"{style} bold")]
    if engine.since:
        line.append((f" for {seconds(now - engine.since)}", ""))
    if engine.running or engine.queue:
        line.append((f"   {engine.running} running, {engine.queue} queued", ""))
    if engine.detail:
        line.append((f"   {shorten(line_text(engine.detail), width - line_width(line) - 5)}", ""))
    right: list[Line] = []
    if engine.pid:
        port = line_text(engine.url.rpartition(":")[2], 20)
        right.append([(f"pid {engine.pid}" + (f" on :{port}" if port else ""), "muted")])
    if snapshot.probes and not engine.is_gone and snapshot.probes[-1][0] >= (engine.started or 0.0):
        right.append(_last_probe(*snapshot.probes[-1], now))
    while right and line_width(line) + line_width(joined(right)) + 4 > width:
        right.pop(0)
    return spread(line, [*joined(right), (" ", "")], width) if right else line


def _last_probe(moment: float, probe: Probe, now: float) -> Line:
    ago = f"probe {seconds(now - moment)} ago"
    if probe.ok:
        return [(f"{ago} took {seconds(probe.latency_s)}", "muted")]
    return [(f"{ago} failed: {shorten(line_text(probe.detail), 40)}", "bad")]


# -- facts ---------------------------------------------------------------------------------------------------


def fact_lines(snapshot: Snapshot, history: HealthHistory, now: float, width: int, height: int) -> list[Line]:
    """Model, memory, restarts, host and disk, a line each, the most important first."""
    engine = snapshot.engine
    if engine is None:
        return []
    room = width - _LABEL - 4
    other = uses_other_backend(snapshot)
    pairs = _of_upstream(snapshot, room) if other else _of_engine(snapshot, history, engine, now, room)
    pairs.append(("host", _host(snapshot, room)))
    lines = label_rows(pairs, width - 2, _LABEL)
    if len(lines) > height:  # the host's line is the last one, and is not left out before notes are
        lines = [*lines[: max(0, height - 1)], lines[-1]][:height]
    return [[("  ", ""), *line] for line in lines]


def _of_upstream(snapshot: Snapshot, room: int) -> list[tuple[str, Line]]:
    host = snapshot.host
    if host is None:
        return []
    model = host.model or (line_text(snapshot.engine.model) if snapshot.engine else "")
    window = snapshot.engine.context_tokens if snapshot.engine else 0
    named: Line = [(shorten_middle(model or "as the client asks", max(8, room - 30)), "")]
    if window:
        named.append((f"   window {window:,} tokens", "muted"))
    return [
        ("model", named),
        ("sends to", [(shorten(host.destination, room), "")] if host.destination else []),
    ]


def _of_engine(
    snapshot: Snapshot, history: HealthHistory, engine: EngineState, now: float, room: int
) -> list[tuple[str, Line]]:
    notes: list[tuple[str, Line]] = [
        ("note", [(shorten(line_text(note), room), "warn")]) for note in engine.notes
    ]
    return [
        ("model", _model(snapshot, engine, room)),
        ("memory", _claims(engine.memory, room)),
        *notes,
        ("restarts", _restarts(snapshot, history, engine, now, room)),
    ]


def _median(values: list[float]) -> float:
    from statistics import median  # not before the first frame: its module takes as long as five of ours

    return median(values)


def _model(snapshot: Snapshot, engine: EngineState, room: int) -> Line:
    """Its name, and as far as there is room its window and measured speeds."""
    if not engine.model:
        return []
    speeds = [
        record.tokens_per_s
        for record in snapshot.requests
        if record.phase == "done" and record.received >= snapshot.model_since
    ]
    speeds = [speed for speed in speeds if speed > 0][-_SPEEDS:]
    facts = [
        f"a demo model: {key_of('main.models')} loads another one"
        if engine.model == bundled_model.NAME
        else "",
        f"{engine.context_tokens:,} tokens" if engine.context_tokens else "",
        f"decode {rate(_median(speeds))}/s" if speeds else "",
        f"prefill {rate(snapshot.prefill_speed)}/s" if snapshot.prefill_speed else "",
        line_text(engine.accelerated),
    ]
    computes = "warn" if engine.accelerated.startswith("cpu") else "muted"
    line: Line = [(shorten_middle(line_text(engine.model), max(12, min(60, room - 20))), "bold")]
    for fact in facts:
        if fact and line_width(line) + len(fact) + 3 <= room:
            style = computes if fact == facts[-1] else "warn" if "demo" in fact else "muted"
            line.append((f"   {fact}", style))
    return line


def _claims(memory: EngineMemory | None, room: int) -> Line:
    """The claimed part of the memory limit as a bar, and its parts."""
    if memory is None or not memory.limit_bytes:
        return []
    if memory.pressure != "normal":
        short = f"this machine is short of memory ({memory.pressure}), of {size(memory.limit_bytes)} allowed"
        return [(shorten(short, room), "bad" if memory.pressure == "critical" else "warn")]
    weights = memory.weights_bytes + memory.draft_bytes
    parts = (
        ("weights", weights, "lane.main"),
        ("requests", memory.requests_bytes, "decode"),
        ("cache", memory.prefix_cache_bytes, "restored"),
    )
    legend = joined(
        [[(shape, style), (f" {name} {size(nbytes)}", "")]
         for (name, nbytes, style), shape in zip(parts, "█▓▒", strict=True)]
    )  # fmt: skip
    legend += [(f"   of {size(memory.limit_bytes)}", "muted")]
    cells = min(40, room - line_width(legend) - 2)
    if cells < 8:
        return legend
    drawn = bar([(nbytes / memory.limit_bytes, style) for _, nbytes, style in parts], cells, shapes="█▓▒")
    return [*drawn, ("  ", ""), *legend]


def _restarts(snapshot: Snapshot, history: HealthHistory, engine: EngineState, now: float, room: int) -> Line:
    """How often today, by itself and by you, and how the last process ended."""
    today = [mark for mark in history.marks if mark.state == "restarting" and now - mark.time <= DAY_S]
    yours = sum(mark.by_you for mark in today)
    alone = max(len(today) - yours, engine.restarts, snapshot.totals.engine_restarts)
    parts = [f"{alone} by itself" if alone else "", f"{yours} by you" if yours else ""]
    counted = ", ".join(part for part in parts if part)
    line: Line = [(f"{counted} in 24 h" if counted else "none in 24 h", "")]
    if alone:
        up = engine.started is not None and not engine.is_gone and engine.state != "loading"
        full_at = (engine.started or 0.0) + FORGIVEN_S
        if up and now >= full_at:
            line.append((f"; all {snapshot.restart_limit} are left again since {clock(full_at)}", "muted"))
        else:
            line[0] = (line[0][0], "warn")
            line.append((f"; {snapshot.restart_limit} in a row are the limit", "warn"))
    exits = [mark for mark in history.marks if mark.state == "exited" and mark.detail]
    left = room - line_width(line) - 3
    detail = exits[-1].detail if exits else engine.last_exit
    if detail and detail != RESTART_REQUESTED and left > 24:
        at = f" {clock(exits[-1].time)}" if exits else ""
        recent = not exits or now - exits[-1].time <= DAY_S
        why = line_text(detail).removeprefix("engine exited with ")
        text = shorten(f"last exit{at} {why}", left)
        line += [("   ", ""), (text, "warn" if recent and alone else "muted")]
    return line


def unrecorded_words(snapshot: Snapshot, room: int) -> Line:
    """How many requests in a row could not be recorded, and why; nothing where the last one was."""
    disk = snapshot.disk
    if disk is None or not disk.unwritten:
        return []
    words = f"{plural(disk.unwritten, 'request')} not recorded: {line_text(disk.refusal)}"
    return [(shorten(words, room), "bad"), ("   ", "")]


def _host(snapshot: Snapshot, room: int) -> Line:
    host, disk = snapshot.host, snapshot.disk
    if host is None:
        return []
    low = disk is not None and 0 < disk.free_bytes < 5_000_000_000
    little = ", which is little" if low else ""
    facts = [
        f"{host.version} pid {host.pid}" if host.pid else host.version,
        f"on {host.url}" if host.url else "",
        f"traces {size(disk.traces_bytes)}, {plural(disk.traces, 'file')}" if disk and disk.traces else "",
        f"{size(disk.free_bytes)} of disk free{little}" if disk and disk.free_bytes else "",
        host.home,
    ]
    unrecorded = unrecorded_words(snapshot, room)
    room -= line_width(unrecorded)
    order = (1, 3, 2, 0, 4)  # of importance
    kept: set[int] = set()
    for number in order:
        fact = facts[number]
        if fact and sum(len(facts[one]) + 3 for one in kept) + len(fact) <= room:
            kept.add(number)
    line = joined([[(facts[number], "warn" if number == 3 and low else "muted")] for number in sorted(kept)])
    return [*unrecorded, *line]

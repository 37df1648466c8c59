"""Health: the engine's state with advice, its memory and probes over time, its log and notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widget import Widget

from engine import bundled_model
from tui.client.figures import clock, percent, plural, seconds, size
from tui.client.records import LogLine, Snapshot
from tui.client.wire_text import shorten, shorten_middle
from tui.screen.charts import bar, graph
from tui.screen.engine_label import (
    ENGINE_STYLES,
    UPSTREAM_FAULTS,
    engine_memory,
    gone_label,
    last_result,
    upstream_label,
    uses_other_backend,
)
from tui.screen.host_actions.questions import cannot_restart, cannot_stop
from tui.screen.keymap import bindings
from tui.screen.panes.pane import Pane, paragraphs
from tui.screen.styled_line import Line, fit, joined, label_rows, line_width, side_by_side
from tui.screen.widgets.canvas import Canvas, Heading
from tui.screen.widgets.text_tail import TextTail

if TYPE_CHECKING:
    from proxy.events.types import EngineMemory, EngineState

ADVICE = {
    "failed": "It does not restart by itself. Fix what its log says, then press r.",
    "stalled": "It makes no progress with its work. It is restarted if that lasts; r restarts it now.",
    "exited": "It ended. It is restarted unless five restarts in a row have failed.",
    "stopped": "It is not running. r starts it.",
}
NOTICE_STYLES = {"info": "muted", "warning": "warn", "error": "bad", "log": ""}
FACT_CELLS = 58
FORGIVEN_S = 600.0  # of a run, after which the limit of restarts is whole again (`RestartPolicy`)


class HealthPane(Pane):
    """Facts and histories, the host's notices, and the engine's log."""

    place = "health"
    BINDINGS = bindings("health")

    class RestartRequested(Message):
        """The user wants to restart the engine, at once or after its requests."""

        def __init__(self, *, drain: bool = False) -> None:
            super().__init__()
            self.drain = drain

    class StopRequested(Message):
        """The user wants to end the host."""

    def __init__(self) -> None:
        super().__init__()
        self._log_end = 0  # number of the last log line that is in the tail

    def compose(self) -> ComposeResult:
        yield Canvas(lambda width, height: engine_block(self.snapshot, self.now, width, height), id="engine")
        with Vertical(id="notices-box"):
            yield Heading("Host notices", id="notices-heading")
            yield Canvas(
                lambda width, height: notice_lines(self.snapshot.notices, width, height), id="notices"
            )
        with Vertical(id="log-box"):
            yield Heading("Engine log", id="log-heading")
            yield TextTail(empty=paragraphs("The engine has logged nothing yet."))

    @property
    def home(self) -> Widget:
        return self.query_one(TextTail)

    @property
    def unavailable(self) -> set[str]:
        snapshot = self.snapshot
        found = {"drain"} if cannot_restart(snapshot, drain=True) else set()
        if cannot_restart(snapshot) and not snapshot.link.gone:  # r starts an ended host of this screen's
            found.add("restart")
        return found | ({"stop"} if cannot_stop(snapshot) else set())

    def update(self) -> None:
        self.query_one("#engine", Canvas).paint()
        self.query_one("#notices", Canvas).paint()
        tail = self.query_one(TextTail)
        if self.snapshot.host is not None and not self.snapshot.host.runs_engine:
            tail.empty = paragraphs("This host runs no engine, so there is no log of one.")
        first_line, end = self.snapshot.log_dropped, self.snapshot.log_dropped + len(self.snapshot.log)
        if end < self._log_end:  # another host
            tail.clear()
            self._log_end = 0
        fresh = self.snapshot.log[max(0, self._log_end - first_line) :]
        if fresh:
            tail.add(log_pieces(fresh, first=not tail.text))
        self._log_end = end
        note: Line = []
        if tail.pending:
            note = [(f"{plural(tail.pending, 'line')} below  ", "warn"), ("end", "accent")]
        elif tail.text:
            note = [("following", "dim")]
        self.query_one("#log-heading", Heading).set_text(note=note)

    def action_restart(self) -> None:
        """Ask for a restart."""
        self.post_message(self.RestartRequested())

    def action_drain(self) -> None:
        """Ask for a restart after the requests that run."""
        self.post_message(self.RestartRequested(drain=True))

    def action_stop(self) -> None:
        """Ask for the host's end."""
        self.post_message(self.StopRequested())

    def action_copy(self) -> None:
        """Copy the log."""
        self.copy(self.query_one(TextTail).text, "log")


def log_pieces(lines: tuple[LogLine, ...], first: bool) -> list[tuple[str, str]]:
    """Log lines for a tail: dim times, and colours for lines that name an error or a warning."""
    pieces: list[tuple[str, str]] = []
    for number, line in enumerate(lines):
        pieces.append(("" if first and not number else "\n", ""))
        if line.time:
            pieces.append((f"{clock(line.time)}  ", "dim"))
        pieces.append((line.text, _log_style(line.text)))
    return pieces


def _log_style(text: str) -> str:
    start = text[:120].lower()
    if "error" in start or "traceback" in start or "fatal" in start:
        return "bad"
    return "warn" if "warn" in start else ""


def notice_lines(notices: tuple[LogLine, ...], width: int, height: int) -> list[Line]:
    """The newest notices, newest last."""
    if not notices:
        return [[("  none", "dim")]]
    return [
        [
            ("  ", ""),
            (clock(line.time), "dim"),
            ("  ", ""),
            (shorten(line.text, width - 13), NOTICE_STYLES[line.level]),
        ]
        for line in notices[-height:]
    ]


def engine_block(snapshot: Snapshot, now: float, width: int, height: int) -> list[Line]:
    """State, facts and histories of the engine in `width` by `height` cells."""
    engine = snapshot.engine
    if engine is None:
        waiting: Line = [("Waiting for the host …", "muted")]
        if snapshot.link.detail:
            waiting = [("No host answers: ", "warn"), (snapshot.link.detail, "warn")]
        return [[], [("  ", ""), *waiting]]
    if uses_other_backend(snapshot) and snapshot.host is not None:
        known: list[Line] = [[("model", "muted"), (f"     {snapshot.host.model or '-'}", "")]]
        known.append([("host at", "muted"), (f"   {snapshot.host.url}", "")])
        if snapshot.host.destination:
            known.append([("sends to", "muted"), (f"  {shorten(snapshot.host.destination, width - 14)}", "")])
        told = (
            _gone_lines(snapshot, engine, width) if snapshot.link.gone else _upstream_lines(snapshot, width)
        )
        return [[], *told, *([("  ", ""), *row] for row in known)]
    lines: list[Line] = [[], _state_line(engine, now, width)]
    advice = ADVICE.get(engine.state, "")
    if snapshot.link.gone:
        lines = [[], *_gone_lines(snapshot, engine, width)]
    elif engine.state == "loading" and engine.progress is not None:
        loading = bar([(engine.progress, "warn")], min(60, width - 10))
        lines.append([("    ", ""), *loading, (f" {percent(engine.progress)}", "warn")])
    elif advice:
        lines.append([("    ", ""), (shorten(advice, width - 6), "warn")])
    else:
        lines.append([])
    if height >= 13:
        lines.append([])
    rows = max(5, height - len(lines))
    beside_cells = min(FACT_CELLS, max(42, width * 2 // 5))
    left_cells = width - 2 if width < 76 else beside_cells
    pairs = _facts(snapshot, engine, now, left_cells - 15)
    if width < 76:  # no room for the histories, which begin with the memory
        pairs.insert(1, ("memory", _memory(snapshot)))
    left = label_rows(pairs, left_cells - 4, 11)
    left = [[("    ", ""), *line] for line in left[:rows]]
    if width < 76:
        return [*lines, *left]
    right = _histories(snapshot, width - left_cells - 5, rows)
    return [*lines, *side_by_side(left, right, left_cells)]


def _gone_lines(snapshot: Snapshot, engine: EngineState, width: int) -> list[Line]:
    """What was known of the engine when the host went, and what the user can do."""
    word, style = gone_label(snapshot)
    since = f"host gone since {clock(snapshot.link.since)}"
    was = since if uses_other_backend(snapshot) else f"was {engine.state}, {since}"
    todo = "r starts the host again, if this screen started it; traces are kept, and the list below is old."
    if snapshot.link.state == "reconnecting":
        todo = f"{snapshot.link.detail}. It is asked again every few seconds; all figures are from before."
    return [
        [("  ● ", style), (word.upper(), f"{style} bold"), (f"  {was}", "")],
        [("    ", ""), (shorten(todo, width - 6), "warn")],
    ]


def _upstream_lines(snapshot: Snapshot, width: int) -> list[Line]:
    """Who answers in place of an engine, and how the newest request fared there."""
    name = snapshot.host.backend if snapshot.host else ""
    label, style = upstream_label(snapshot)
    last = last_result(snapshot)
    words: Line = [(f"Requests go to {name}; this host runs no engine.", "")]
    if last is None:
        return [[("  ○ ", style), *words], [("    It is not probed: the first request will tell.", "muted")]]
    moment = clock(last.ended)
    if style != "bad":
        return [[("  ● ", style), *words], [(f"    It answered at {moment}.", "muted")]]
    return [
        [("  ● ", style), (label, f"{style} bold"), (f"  since {clock(failing_since(snapshot))}", "")],
        [("    ", ""), (shorten(f"{moment}  {last.error}", width - 6), style)],
    ]


def failing_since(snapshot: Snapshot) -> float | None:
    """The end of the first failure of the upstream that no answer followed."""
    since = None
    ended = [record for record in snapshot.requests if record.phase in ("done", "failed") and record.ended]
    for record in sorted(ended, key=lambda one: one.ended or 0.0, reverse=True):
        if record.cause not in UPSTREAM_FAULTS:
            break
        since = record.ended
    return since


def _state_line(engine: EngineState, now: float, width: int) -> Line:
    style = ENGINE_STYLES.get(engine.state, "muted")
    line: Line = [("  ● ", style), (engine.state.upper(), f"{style} bold")]
    if engine.since:
        line.append((f"  for {seconds(now - engine.since)}", "muted"))
    if engine.detail:
        line.append((f"   {shorten(engine.detail, width - line_width(line) - 5)}", ""))
    return line


def _facts(snapshot: Snapshot, engine: EngineState, now: float, room: int) -> list[tuple[str, Line]]:
    restarts: Line = [("none", "")]
    if number := max(engine.restarts, snapshot.totals.engine_restarts):
        runs_s = now - engine.started if engine.started and not engine.is_gone else 0.0
        calm = runs_s >= FORGIVEN_S
        since = (
            f", none for {seconds(runs_s)}" if calm else f"; {snapshot.restart_limit} in a row are the limit"
        )
        restarts = [(f"{number}{since}", "muted" if calm else "warn")]
    uptime = seconds(now - engine.started) if engine.started else ""
    host = snapshot.host
    bundled = engine.model == bundled_model.NAME
    computes = "warn" if engine.accelerated.startswith("cpu") else "muted"
    version = f"   {host.version}" if host and room > 34 else ""
    notes: list[tuple[str, Line]] = [("note", [(shorten(note, room), "warn")]) for note in engine.notes]
    # Ordered by importance: a low terminal has no room for the last ones.
    return [
        ("model", [(shorten_middle(engine.model, room), "")] if engine.model else []),
        ("", [("demo model: set --model", "muted")] if bundled else []),
        *notes,
        ("work", [(f"{engine.running} running, {engine.queue} queued", "")]),
        ("process", [(str(engine.pid), ""), (f"   {engine.accelerated}", computes)] if engine.pid else []),
        ("context", [(f"{engine.context_tokens:,} tokens", "")] if engine.context_tokens else []),
        ("engine at", [(engine.url, "muted")] if engine.url else []),
        ("restarts", restarts),
        ("last exit", [(shorten(engine.last_exit, room), "warn")] if engine.last_exit else []),
        ("uptime", [(uptime, "")] if uptime else []),
        ("host at", [(host.url, "muted"), (version, "dim")] if host else []),
        ("backend", [(host.backend, "muted")] if host and host.backend else []),
    ]


def _memory(snapshot: Snapshot) -> Line:
    """The memory of the engine's process, and its limit."""
    now, limit = engine_memory(snapshot)
    line: Line = [(size(now) if now else "·", "bold")]
    if limit:
        line.append((f" of {size(limit)}", "bad" if now > limit else ""))
    return line


def _histories(snapshot: Snapshot, width: int, rows: int) -> list[Line]:
    memory = [float(amount) for _, amount in snapshot.memory]
    memory_use = snapshot.engine.memory if snapshot.engine is not None else None
    title: Line = [("memory  ", "label"), *_memory(snapshot)]
    peak = f"   peak {size(max(memory))}" if memory else ""
    if line_width(title) + len(peak) <= width:  # whole, or not at all
        title.append((peak, "muted"))
    graph_rows = 1 if rows < 8 else 2 if rows < 10 else 3
    out = [
        fit(title, width),
        *graph(memory, width, graph_rows, "area.lane.main"),
        *_claims(memory_use, width, rows),
    ]
    latencies = [probe.latency_s for _, probe in snapshot.probes]
    good = [probe.latency_s for _, probe in snapshot.probes if probe.ok]
    failed = len(latencies) - len(good)
    probes: Line = [("probes  ", "label"), (f"{len(latencies):,}", "")]
    if failed:
        probes.append((f"  {failed} failed", "bad"))
    latency = f"  last {seconds(good[-1])}, max {seconds(max(good))}" if good else ""
    if line_width(probes) + len(latency) <= width:
        probes.append((latency, "muted"))
    return [*out, fit(probes, width), _probe_strip(snapshot, width), _last_failure(snapshot, width)]


def _claims(memory_use: EngineMemory | None, width: int, rows: int) -> list[Line]:
    """The claimed part of the memory limit as a bar, and its parts."""
    if memory_use is None or not memory_use.limit_bytes:
        return [[]]
    weights = memory_use.weights_bytes + memory_use.draft_bytes
    parts = (
        ("weights", weights, "lane.main"),
        ("requests", memory_use.requests_bytes, "decode"),
        ("cache", memory_use.prefix_cache_bytes, "restored"),
    )
    line = bar([(nbytes / memory_use.limit_bytes, style) for _, nbytes, style in parts], width, shapes="█▓▒")
    if memory_use.pressure != "normal":
        short = f"this machine is short of memory ({memory_use.pressure})"
        return [line, fit([(short, "bad" if memory_use.pressure == "critical" else "warn")], width)]
    if rows < 9:
        return [line]
    legend = joined([[(name, style), (f" {size(nbytes)}", "muted")] for name, nbytes, style in parts])
    return [line, fit(legend, width)]


def _probe_strip(snapshot: Snapshot, width: int) -> Line:
    """One cell for each probe: its latency as height, a cross if it failed."""
    recent = snapshot.probes[-width:]
    if not recent:
        return [("·" * width, "track")]
    top = max([probe.latency_s for _, probe in recent if probe.ok], default=1.0) or 1.0
    line: Line = [("·" * (width - len(recent)), "track")]
    for _, probe in recent:
        cell = graph([probe.latency_s], 1, 1, "ok", max(top, 0.02))[0] if probe.ok else [("✗", "bad")]
        line += cell
    return line


def _last_failure(snapshot: Snapshot, width: int) -> Line:
    bad = next(((time, probe) for time, probe in reversed(snapshot.probes) if not probe.ok), None)
    if bad is None:
        return []
    return [("last failed ", "label"), (shorten(f"{clock(bad[0])}  {bad[1].detail}", width - 12), "bad")]

"""The way from an empty screen to Claude Code on a good model: which runs, which fits, how to start."""

from __future__ import annotations

from engine.bundled_model import NAME as BUNDLED
from tui.client.records import ModelFit, Snapshot
from tui.client.wire_text import line_text
from tui.screen.engine_label import engine_label, uses_other_backend
from tui.screen.keymap import commands, key_of
from tui.screen.styled_line import Line, Span

_LABEL = 10  # cells
_SMALLER = 0.6  # of the suggested weights: below it, the one that runs is not that machine's best


def first_steps(snapshot: Snapshot, claude: str, fit: ModelFit | None) -> list[Line]:
    """What an empty list of requests says; `claude` is the command that starts Claude Code on this host."""
    none = (
        "No request is known: there is no contact with the host." if snapshot.link.gone else "No request yet."
    )
    lines: list[Line] = [[(none, "bold")], []]
    if model := _running(snapshot):
        word, style = engine_label(snapshot)
        lines += [[_label("runs"), (model, ""), ("  ● ", style), (word, style)]]
    if snapshot.link.recorded:  # there is no host to start Claude Code on
        on, skips = key_of("play.pause"), key_of("play.seek:1")
        told = f"  The first request of this recording appears here: {on} goes on, {skips} skips."
        return [*lines, [], [(told, "muted")]]
    # `context` copies the command while there is no session.
    lines.append([*_copies("main.context"), (claude, "accent")])
    lines.append([_label(""), ("in another terminal: Claude Code, whose requests appear here", "muted")])
    better = _better(snapshot, fit)  # eight lines in all, for which a terminal of 24 lines has room
    return [*lines, [], *better] if better else lines


def _label(word: str) -> Span:
    return (word.ljust(_LABEL), "label")


def _copies(name: str) -> Line:
    """The key of a command that copies, in place of a label."""
    key = next((one.key for one in commands("main", "streams") if one.id == name), "")
    return [(key, "accent"), (" copies".ljust(_LABEL - len(key)), "label")]


def _running(snapshot: Snapshot) -> str:
    engine, host = snapshot.engine, snapshot.host
    if engine is None or snapshot.link.gone or (host is not None and not host.runs_engine):
        return ""
    if uses_other_backend(snapshot):
        return ""
    model = engine.model or (host.model if host is not None else "")  # as the top bar says
    return line_text(model.rstrip("/").rsplit("/", 1)[-1] if model else BUNDLED, 60)


def better_model(snapshot: Snapshot, fit: ModelFit | None) -> ModelFit | None:
    """`fit`, where it is more than what runs."""
    engine = snapshot.engine
    if fit is None or engine is None or not _running(snapshot):
        return None
    model = engine.model or (snapshot.host.model if snapshot.host is not None else "")
    if not model or BUNDLED in model or model.endswith("bundled_model"):
        return fit
    weights = engine.memory.weights_bytes if engine.memory is not None else 0
    same = fit.model.rsplit("/", 1)[-1] in model
    return fit if 0 < weights < _SMALLER * fit.weights_gb * 1e9 and not same else None


def _better(snapshot: Snapshot, fit: ModelFit | None) -> list[Line]:
    found = better_model(snapshot, fit)
    if found is None:
        return []
    why = f"{found.weights_gb:g} GB; this machine has {found.memory_gb} GB"
    return [
        [_label("fits"), (found.model, "bold"), (f"  {why}", "muted")],
        [*_copies("streams.copy_model"), (found.command, "accent")],
    ]

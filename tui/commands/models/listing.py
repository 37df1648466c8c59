"""`anyclaude-tui models list`."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence

from engine.options.kinds import printable
from proxy.local_models.facts import ModelFacts
from tui.client.figures import count, plural, size
from tui.client.wire_text import shorten_middle, width
from tui.commands.claude_window import LEAST_WINDOW
from tui.commands.doctor.report import terminal_width
from tui.commands.exit_codes import ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.models.inventory import Inventory
from tui.commands.models.running import running_models
from tui.commands.output import write_data

_HEAD = ("architecture", "weights", "size", "window", "tools", "cache", "fits")
_NAME_CELLS = 46
_CELL = 40  # most characters of what a model's own configuration says
_INDENT = "    "
_NONE = "-"


def run_models_list(invocation: Invocation, *, as_json: bool) -> int:
    """Print the models of all stores; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError, tui.commands.exit_codes.CommandFailed: see `Invocation`.
    """
    inventory = Inventory.settle(invocation)
    running = running_models(inventory.settled)
    rows = [inventory.facts(model, running) for model in inventory.models()]
    room = inventory.room.limit
    if as_json:
        document = {
            "models": [row.as_json() for row in rows],
            "stores": [
                {"kind": store.kind.value, "path": str(store.root), "exists": store.root.is_dir()}
                for store in inventory.stores
            ],
            "limit_bytes": room.bytes,
            "limit_reason": room.reason,
        }
        write_data(json.dumps(document, indent=1) + "\n")
        return ExitCode.FINE
    write_data("".join(f"{line}\n" for line in table(rows, terminal_width())))
    ready = sum(row.condition == "ready" for row in rows)
    say(
        f"{plural(len(rows), 'model')}, {ready} ready; the engine may take {size(room.bytes)} here"
        f" ({room.reason}). Long tasks of Claude Code need {LEAST_WINDOW:,} tokens"
    )
    if ready <= 1:
        say("which to take: anyclaude-tui models list --suggest")
    return ExitCode.FINE


def table(rows: Sequence[ModelFacts], columns: int) -> Iterator[str]:
    """The table: a heading for each store, a row for each model, and reasons below it."""
    cells = [_cells(row) for row in rows]
    widths = [max(map(width, column)) for column in zip(_HEAD, *cells, strict=True)]
    names = [shorten_middle(printable(row.name), columns - len(_INDENT)) for row in rows]
    shorter = [shorten_middle(name, _NAME_CELLS) for name in names]
    most = max(map(width, shorter), default=0)
    beside = len(_INDENT) + most + sum(each + 2 for each in widths) <= columns
    names = shorter if beside else names
    store = ""
    for row, name, texts in zip(rows, names, cells, strict=True):
        if row.store != store:
            yield from ([""] if store else [])
            store = row.store
            head = _row(_HEAD, widths)
            yield f"{store:<{most + len(_INDENT)}}  {head}".rstrip() if beside else store
            if not beside:
                yield f"{_INDENT}{_INDENT}{head}".rstrip()
        marks = ", ".join(row.used_by)
        mark = f"  ({marks})" if marks else ""
        if row.condition in ("ready", "too large"):
            line = _row(texts, widths)
            if beside:
                yield f"{_INDENT}{name}{' ' * (most - width(name))}  {line}".rstrip() + mark
            else:
                yield f"{_INDENT}{name}{mark}"
                yield f"{_INDENT}{_INDENT}{line}".rstrip()
        else:
            yield f"{_INDENT}{name}  {size(row.size_bytes) if row.size_bytes else ''}".rstrip() + mark
        for note in _notes(row):
            yield from textwrap.wrap(
                printable(note, 400),
                columns,
                initial_indent=_INDENT * 2,
                subsequent_indent=_INDENT * 2 + "  ",
                break_on_hyphens=False,
                break_long_words=False,
            )


def _row(texts: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(text + " " * (cells - width(text)) for text, cells in zip(texts, widths, strict=True))


def _cells(row: ModelFacts) -> tuple[str, ...]:
    whole = row.window_tokens and row.fitting_tokens >= row.window_tokens
    fits = "all" if whole else count(row.fitting_tokens) if row.fitting_tokens else "no"
    if not row.cache and row.condition == "ready":
        fits = "?"
    return (
        printable(row.architecture, _CELL) or _NONE,
        printable(row.quantization, _CELL) or _NONE,
        size(row.size_bytes) if row.size_bytes else _NONE,
        count(row.window_tokens) if row.window_tokens else "?",
        row.family or "none",
        row.cache or "?",
        fits,
    )


def _notes(row: ModelFacts) -> Iterator[str]:
    if row.condition != "ready":
        yield f"{row.condition}: {row.reason}"
    if row.ignored_bytes:
        parts = ", ".join(f"{size(nbytes)} for {sense}" for sense, nbytes in row.ignored_bytes.items())
        yield f"not loaded: weights of {parts}"
    if row.condition == "ready" and not row.family:
        yield "its template shows no tool calls; Claude Code needs them (--tool-format, or another model)"

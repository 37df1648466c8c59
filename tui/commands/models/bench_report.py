"""A run of `models bench` as text: a table beside the run before, and a plot. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from engine.wire.speed_report import SpeedRow
from proxy.local_models.bench_records import BenchRun
from tui.client.figures import NONE, count, rate, seconds, size
from tui.client.wire_text import width

_HEAD = ("prompt", "prefill tok/s", "TTFT cold", "warm", "decode tok/s", "with grammar")
_BLOCKS = " ▏▎▍▌▋▊▉█"
_LEAST_BAR, _MOST_BAR = 10, 60
_SMALL = 0.02  # a change of less is noise


def report(run: BenchRun, before: BenchRun | None, columns: int) -> Iterator[str]:
    """The lines of a report."""
    model = run.model
    yield f"{run.name}: {size(model.weights_bytes)} of weights, chunks of {model.chunk_tokens} tokens"
    yield f"{model.machine}; {model.device}"
    yield ""
    yield from table(run.rows, before)
    for one in run.skipped:
        yield f"{count(one.prompt_tokens)} tokens: not measured, {one.why}"
    if model.grammar_fault:
        yield f"with a grammar: not measured, {model.grammar_fault}"
    if before is not None:
        yield ""
        yield f"in brackets: the change since {before.time[:16].replace('T', ' ')} UTC{_other(run, before)}"
    for title, values in (
        ("prefill, tokens/s", [(row.prompt_tokens, row.prefill_speed) for row in run.rows]),
        ("decode, tokens/s", [(row.prompt_tokens, row.decode_speed or 0.0) for row in run.rows]),
    ):
        if any(value for _, value in values):
            yield ""
            yield from plot(title, values, columns)


def table(rows: Sequence[SpeedRow], before: BenchRun | None) -> Iterator[str]:
    """A row a length, with the change since the run before in brackets."""
    cells = [list(_HEAD)]
    for row in rows:
        old = before.row_of(row.prompt_tokens) if before is not None else None
        cells.append(
            [
                count(row.prompt_tokens),
                rate(row.prefill_speed) + _change(row.prefill_speed, old.prefill_speed if old else None),
                seconds(row.cold_s),
                seconds(row.warm_s),
                rate(row.decode_speed) + _change(row.decode_speed, old.decode_speed if old else None),
                rate(row.grammar_speed) + _change(row.grammar_speed, old.grammar_speed if old else None),
            ]
        )
    widths = [max(map(width, column)) for column in zip(*cells, strict=True)]
    for row_cells in cells:
        padded = [" " * (most - width(text)) + text for text, most in zip(row_cells, widths, strict=True)]
        yield "  ".join(padded)


def plot(title: str, values: Sequence[tuple[int, float]], columns: int) -> Iterator[str]:
    """A bar for each length."""
    most = max((value for _, value in values), default=0.0)
    if not most:
        return
    cells = max(_LEAST_BAR, min(_MOST_BAR, columns - 20))
    yield title
    for tokens, value in values:
        eighths = round(cells * 8 * value / most)
        bar = "█" * (eighths // 8) + (_BLOCKS[eighths % 8] if eighths % 8 else "")
        yield f"{count(tokens):>6}  {bar:<{cells}}  {rate(value)}".rstrip()


def as_json(run: BenchRun, before: BenchRun | None, file: str) -> str:
    """The run with its speeds, and the run before."""
    return json.dumps(
        {"run": _document(run), "before": _document(before) if before is not None else None, "kept_in": file},
        indent=1,
    )


def _document(run: BenchRun) -> dict[str, Any]:
    rows = [
        asdict(row)
        | {
            "prefill_tokens_per_s": row.prefill_speed,
            "decode_tokens_per_s": row.decode_speed,
            "grammar_tokens_per_s": row.grammar_speed,
        }
        for row in run.rows
    ]
    return asdict(run) | {"rows": rows}


def _change(now: float | None, before: float | None) -> str:
    if not now or not before:
        return ""
    share = now / before - 1
    return " (=)" if abs(share) < _SMALL else f" ({share:+.0%})"


def _other(run: BenchRun, before: BenchRun) -> str:
    """What else changed since then."""
    others = [
        f"{name} {before.model.libraries.get(name, NONE)} then"
        for name, version in run.model.libraries.items()
        if before.model.libraries.get(name) != version
    ]
    if before.model.chunk_tokens != run.model.chunk_tokens:
        others.append(f"chunks of {before.model.chunk_tokens} tokens then")
    return f" ({', '.join(others)})" if others else ""

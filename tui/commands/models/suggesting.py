"""`anyclaude-tui models list --suggest`: models for Claude Code by memory, each with a dated source."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from engine.memory_budget.estimate import default_working_set, estimated_machine
from engine.memory_budget.limits import GB, Machine, memory_limit
from tui.client.records import ModelFit
from tui.commands.doctor.report import terminal_width
from tui.commands.exit_codes import ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.models.inventory import Inventory
from tui.commands.output import write_data

_RAPID = "https://github.com/raullenchai/Rapid-MLX/blob/main/docs/benchmarks/model-recommendations.md"
_RAPID_CLAUDE = "https://github.com/raullenchai/Rapid-MLX/blob/main/docs/agents/claude-code.md"
_LOCAL = "https://github.com/nicedreamzapp/claude-code-local/blob/main/README.md"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A model for machines with so much memory.

    `memory_gb` is that of the machine, as Apple counts; `weights_gb` is as the source says, or computed from
    bits and parameters. `why` is what the source found, `source` its address, `date` the day of its last
    change.
    """

    memory_gb: int
    model: str
    weights_gb: float
    why: str
    source: str
    date: str


SUGGESTIONS = (
    Suggestion(
        8,
        "mlx-community/Qwen3.5-4B-MLX-4bit",
        2.9,
        "only to try things: 6.0 GB with a prompt of 8,000 tokens; the source finds no model of 8 GB machines"
        " fit for coding",
        _RAPID,
        "2026-08-19",
    ),
    Suggestion(
        16,
        "mlx-community/Qwen3.5-9B-4bit",
        5.4,
        "5 of 6 agent tasks on a Mac mini M4 with 16 GB, the most of 15 set-ups; models of less than 4"
        " billion weights write calls there but do not chain them",
        "https://huggingface.co/Manojb/CUA_benchmark_local_small_models/blob/main/reports/"
        "Complete_Multi_Axis_Analysis.md",
        "2026-04-08",
    ),
    Suggestion(
        24,
        "mlx-community/Qwen3.5-9B-4bit",
        5.4,
        "8.7 GB with a prompt of 8,000 tokens and 36 tokens/s on an M2 Pro: room for long contexts",
        _RAPID,
        "2026-08-19",
    ),
    Suggestion(
        32,
        "mlx-community/Qwen3-Coder-30B-A3B-Instruct-4bit",
        17.5,
        "about 130 tokens/s on an M4 Max, and a prompt is reused from any token on; the README computes"
        " 47,000 tokens beside it",
        "https://github.com/akaszubski/anyclaude-local/issues/92",
        "2026-04-03",
    ),
    Suggestion(
        48,
        "mlx-community/Qwen3.6-35B-A3B-4bit",
        20.0,
        "passes the source's test with the real Claude Code",
        _RAPID_CLAUDE,
        "2026-08-11",
    ),
    Suggestion(
        64,
        "mlx-community/Qwen3.6-35B-A3B-8bit",
        37.0,
        "12 of 12 easy and 8 of 8 hard agent tasks, the best of the local models measured there",
        _LOCAL,
        "2026-08-22",
    ),
    Suggestion(
        96,
        "mlx-community/Qwen3-Coder-Next-4bit",
        45.0,
        "made for coding agents; the source calls 64 GB the least and 96 GB comfortable",
        "https://github.com/trailofbits/claude-code-config/blob/main/README.md",
        "2026-02-25",
    ),
    Suggestion(
        128,
        "nightmedia/Qwen3.5-122B-A10B-Text-mxfp4-mlx",
        75.0,
        "the source runs Qwen3.5-122B in 4 bits with 96 GB or more, at 65 tokens/s on an M5 Max",
        _LOCAL,
        "2026-08-22",
    ),
)
"""By memory. Looked up on 2026-11-29; nothing of it was measured here."""


def suggested_for(memory_gb: int) -> Suggestion | None:
    """The row for a machine with so much memory; None below the least."""
    return next((row for row in reversed(SUGGESTIONS) if row.memory_gb <= memory_gb), None)


def markdown() -> str:
    """The table of docs/models-command.md."""
    head = "| memory | model | weights | what the source found | source |\n|---|---|---|---|---|\n"
    return head + "".join(
        f"| {row.memory_gb} GB | `{row.model}` | {row.weights_gb:.1f} GB | {row.why} |"
        f" [{row.date}]({row.source}) |\n"
        for row in SUGGESTIONS
    )


def run_models_suggest(invocation: Invocation, *, as_json: bool) -> int:
    """Print the table, with the row for this machine marked; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError, tui.commands.exit_codes.CommandFailed: see `Invocation`.
    """
    inventory = Inventory.settle(invocation)
    limit = inventory.room.limit
    mine = next((row for row in reversed(SUGGESTIONS) if _engine_bytes(row.memory_gb) <= limit.bytes), None)
    if as_json:
        rows = [asdict(row) | {"for_this_machine": row is mine} for row in SUGGESTIONS]
        write_data(json.dumps({"suggestions": rows, "limit_bytes": limit.bytes}, indent=1) + "\n")
        return ExitCode.FINE
    write_data("".join(f"{line}\n" for line in _lines(mine, terminal_width())))
    if mine is not None:
        say(f"for this machine, where the engine may take {limit.bytes / GB:.1f} GB ({limit.reason}):")
        say(f"  anyclaude-tui models pull {mine.model}")
    else:
        say(f"the engine may take {limit.bytes / GB:.1f} GB here ({limit.reason}), too little for them")
    return ExitCode.FINE


def model_fit(invocation: Invocation, program: str) -> ModelFit | None:
    """The row for this machine, for the screen; None where it has too little memory. `program` is this one.

    Raises:
        proxy.configuration.settled.ConfigError, tui.commands.exit_codes.CommandFailed: see `Invocation`.
    """
    inventory = Inventory.settle(invocation)
    limit = inventory.room.limit
    mine = next((row for row in reversed(SUGGESTIONS) if _engine_bytes(row.memory_gb) <= limit.bytes), None)
    if mine is None:
        return None
    here = any(model.name == mine.model for model in inventory.models())
    command = f"{program} --model {mine.model}" if here else f"{program} models pull {mine.model}"
    memory = round(estimated_machine().ram_bytes / (1 << 30))
    return ModelFit(mine.model, mine.weights_gb, memory, command, here)


def _engine_bytes(memory_gb: int) -> int:
    ram = memory_gb << 30
    return memory_limit(Machine(ram, working_set_bytes=default_working_set(ram))).bytes


def _lines(mine: Suggestion | None, columns: int) -> Iterator[str]:
    for row in SUGGESTIONS:
        mark = "  (this machine)" if row is mine else ""
        yield f"{row.memory_gb:>4} GB  {row.model}, {row.weights_gb:.1f} GB{mark}"
        yield from textwrap.wrap(
            row.why, columns, initial_indent=" " * 9, subsequent_indent=" " * 9, break_on_hyphens=False
        )
        yield f"{'':9}{row.date}  {row.source}"

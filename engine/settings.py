"""What an engine process has to know: one JSON line from its parent, or options on its command line."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from engine.tool_calls.families.names import FAMILY_NAMES


class SettingsError(ValueError):
    """The settings are wrong; the message is one line that names key, value and what is allowed."""


class EngineSettings(BaseModel):
    """All settings; the descriptions are also the help of the command line."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str = Field("", description="model folder or hub id; empty: the bundled demo model")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8081, ge=0, le=65535, description="port to listen on; 0: any free one")
    context_length: int | None = Field(
        None, ge=16, description="tokens that prompt and answer share; default: as the model's files state"
    )
    prefix_cache_bytes: int | None = Field(
        None, ge=0, description="memory for the prefix cache; default: by the machine's memory"
    )
    memory_limit_bytes: int | None = Field(
        None,
        ge=1,
        description="memory that the engine may take with weights and prompts; default: by the machine",
    )
    wired: Literal["weights", "off"] = Field(
        "weights", description="what macOS may never page out: the weights, or nothing"
    )
    kv_cache_dir: str = Field(
        "", description="folder in which computed prompts outlive the engine; empty: they are in memory alone"
    )
    disk_cache_bytes: int = Field(
        20_000_000_000, ge=0, description="disk for computed prompts, of all models together; 0: none"
    )
    disk_writes_per_day_bytes: int = Field(
        50_000_000_000,
        ge=0,
        description="most bytes that are written to that folder in a day (UTC); 0: it is only read",
    )
    max_batch: int = Field(8, ge=1, description="requests that generate at the same time")
    max_queue: int = Field(64, ge=1, description="requests that may wait; more are refused")
    prefill_chunk: int | None = Field(
        None, ge=1, description="prompt tokens of a first step; default: measured"
    )
    kv_bits: Literal[4, 8] | None = Field(
        None, description="bits of a stored key or value, 4 or 8; default: as the model computes them"
    )
    tool_format: str = Field(
        "",
        description="how the model writes tool calls, where its chat template does not tell: one of "
        + ", ".join(FAMILY_NAMES),
    )
    grammar: bool = Field(
        True, description="hold tool calls and JSON answers to their grammar while they are generated"
    )
    draft_model: str = Field(
        "", description="small model of the same family that guesses tokens ahead; folder or hub id"
    )
    draft_tokens: int = Field(3, ge=1, le=16, description="tokens that the draft model guesses at a time")
    loop_tokens: int = Field(
        2000,
        ge=0,
        description="end an answer whose last so many tokens are one passage over and over; in calls and JSON"
        " it takes eight times as many; 0: never",
    )
    relax_gpu_watchdog: bool = Field(
        False,
        description="let macOS's GPU driver wait longer before it ends what a chunk of a prompt computes;"
        " windows may stutter meanwhile",
    )
    stall_after_s: float = Field(
        60.0, gt=0, description="seconds without a step of a busy loop after which the engine is unhealthy"
    )

    @field_validator("tool_format")
    @classmethod
    def _known_format(cls, value: str) -> str:
        if value and value not in FAMILY_NAMES:
            raise ValueError(f"allowed are {', '.join(FAMILY_NAMES)}")
        return value


def settings_from(values: Mapping[str, Any]) -> tuple[EngineSettings, list[str]]:
    """Check settings; unknown keys come back as warnings.

    Raises:
        SettingsError: a value is wrong.
    """
    known = list(EngineSettings.model_fields)
    warnings = []
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            warnings.append(f"the setting {key!r} is not known and was ignored{hint}")
    try:
        return EngineSettings.model_validate(dict(values)), warnings
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in fault["loc"])
        raise SettingsError(f"setting {key} = {fault.get('input')!r}: {fault['msg']}") from error


def argument_parser() -> argparse.ArgumentParser:
    """The command line, with an option for each setting."""
    parser = argparse.ArgumentParser(
        prog="python -m engine",
        description="An OpenAI-compatible server for MLX models.",
        epilog="Example: python -m engine --model ~/models/Qwen3-Coder-30B-MLX-4bit --port 8081. "
        "Without options it reads its settings as one JSON line on stdin, and ends when stdin closes.",
    )
    for name, field in EngineSettings.model_fields.items():
        default = "" if field.default in (None, "") else f" (default: {field.default})"
        parser.add_argument(
            "--" + name.replace("_", "-"),
            metavar="VALUE",
            default=argparse.SUPPRESS,
            help=(field.description or "") + default,
        )
    return parser


def settings_from_options(arguments: Sequence[str]) -> EngineSettings:
    """Settings out of command line arguments.

    Raises:
        SettingsError: a value is wrong.
        SystemExit: with 2 for an unknown option, with 0 after `--help`.
    """
    return settings_from(vars(argument_parser().parse_args(arguments)))[0]

"""`anyclaude-tui models bench`: how fast a model reads and answers here, beside earlier runs."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engine import bundled_model
from engine.process.blas import engine_environment
from engine.process.private_files import private_folder
from engine.wire.speed_report import (
    MeasuredModel,
    SkippedLength,
    SpeedProgress,
    SpeedRow,
    read_speed,
)
from proxy.configuration.settled import HostConfig
from proxy.local_models.bench_records import BenchRecords, BenchRun, now
from proxy.local_models.facts import ModelFacts
from tui.client.figures import count, percent, rate
from tui.commands.doctor.report import terminal_width
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.model_memory import check_memory, folder_of, memory_now
from tui.commands.models.bench_report import as_json as run_as_json
from tui.commands.models.bench_report import report
from tui.commands.models.inventory import Inventory
from tui.commands.output import write_data

_ENDS_S = 20.0  # for the program to finish its chunk after Ctrl-C
_ERASE = "\r\x1b[K"
_LAST_LINES = 5


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What to measure, for how long at most."""

    lengths: Sequence[int]
    decode_tokens: int
    seconds: float


@dataclass
class Measured:
    """What arrived of a run."""

    model: MeasuredModel = field(default_factory=MeasuredModel)
    rows: list[SpeedRow] = field(default_factory=list)
    skipped: list[SkippedLength] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


def run_models_bench(
    invocation: Invocation, name: str, options: BenchOptions, *, as_json: bool, beside_host: bool = False
) -> int:
    """Measure one model, print and keep what was measured; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError, CommandFailed: see `Invocation`; there is no such model, it
            cannot be run here, or a host runs and both models may not fit into memory.
    """
    inventory = Inventory.settle(invocation)
    config = inventory.settled.config
    chosen = name or _configured(config)
    model = inventory.find(chosen)
    facts = inventory.facts(model)
    if facts.condition != "ready":
        raise CommandFailed(ExitCode.USAGE, f"{model.name} cannot be run here: {facts.reason}")
    folder = str(model.path)
    if not beside_host:
        check_memory(replace(inventory.settled, config=replace(config, model=folder)), memory_now())
    lengths = [length for length in options.lengths if length < (facts.fitting_tokens or length + 1)]
    for length in sorted(set(options.lengths) - set(lengths)):
        say(f"{length:,} tokens: left out, about {facts.fitting_tokens:,} fit on this machine")
    if not lengths:
        raise CommandFailed(ExitCode.USAGE, "no length is left to measure; name shorter ones with --lengths")
    if not inventory.is_configured(model):  # they are the configured model's, not this one's
        config = replace(config, adapter="", trust_remote_code="")
    command = bench_command(folder, config, replace(options, lengths=lengths))
    began = now()
    measured = Measured()
    ended = _run(command, invocation.environ, config.home, measured)
    run = BenchRun(
        name=model.name,
        time=began,
        model=measured.model,
        rows=tuple(measured.rows),
        skipped=tuple(measured.skipped),
        options={"kv_bits": config.kv_bits, "draft_model": config.draft_model},
        ended=ended.why,
    )
    _finish(run, facts, config.home, as_json=as_json)
    if ended.code not in (ExitCode.FINE, ExitCode.INTERRUPTED):
        raise CommandFailed(ended.code, ended.why)
    return ended.code


def bench_command(folder: str, config: HostConfig, options: BenchOptions) -> list[str]:
    """The program that measures, with the configured ways to run the model.

    Raises:
        CommandFailed: the configured draft model is not on this machine.
    """
    # -P: Python must not import modules of the user's folder.
    command = [sys.executable, "-P", "-m", "engine.model_speed", "--model", folder]
    command += ["--lengths", ",".join(map(str, options.lengths)), "--decode", str(options.decode_tokens)]
    command += ["--seconds", str(options.seconds), "--context-tokens", str(config.context_tokens)]
    command += ["--kv-cache-dir", str(config.kv_cache_folder)]
    command += ["--kv-bits", str(config.kv_bits)] if config.kv_bits else []
    command += ["--adapter", config.adapter] if config.adapter else []
    command += ["--trust-remote-code", folder] if config.trust_remote_code else []
    if config.draft_model:
        draft = folder_of(config.draft_model)
        if draft is None:
            raise CommandFailed(
                ExitCode.USAGE,
                f"draftModel names {config.draft_model}, which is not downloaded; get it with anyclaude-tui"
                f" models pull {config.draft_model}, or measure without: ANYCLAUDE_DRAFT_MODEL=''",
            )
        command += ["--draft-model", str(draft), "--draft-tokens", str(config.draft_tokens)]
    return command


@dataclass(frozen=True, slots=True)
class BenchEnd:
    """How the program ended; `why` is empty for a whole run."""

    code: int
    why: str = ""


def _run(command: Sequence[str], environ: Mapping[str, str], home: Path, measured: Measured) -> BenchEnd:
    environment, _ = engine_environment({**environ, "HF_HUB_OFFLINE": "1"})
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=private_folder(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        with _Stderr(process.stderr) as log:
            take(process.stdout, measured)
            code = process.wait()
            why = log.last()
    except KeyboardInterrupt:  # the program got it too, and finishes its chunk
        with suppress(KeyboardInterrupt):
            process.wait(_ENDS_S)
        return BenchEnd(ExitCode.INTERRUPTED, "interrupted")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()
        process.stderr.close()
    if code == ExitCode.FINE:
        return BenchEnd(code)
    if code == ExitCode.INTERRUPTED:
        return BenchEnd(code, "interrupted")
    return BenchEnd(ExitCode.ENGINE_FAILED, why or f"the engine's program ended with {code}")


def take(lines: Iterable[str], measured: Measured) -> None:
    """Take what the program prints as it comes, and show progress."""
    is_terminal = sys.stderr.isatty()
    for text in lines:
        match read_speed(text):
            case SpeedProgress(done, what):
                if is_terminal:
                    sys.stderr.write(f"{_ERASE}{percent(done)}  {what}")
                    sys.stderr.flush()
            case SpeedRow() as row:
                measured.rows.append(row)
                _cleared(is_terminal)
                say(
                    f"{count(row.prompt_tokens)} tokens: prefill {rate(row.prefill_speed)} tokens/s,"
                    f" decode {rate(row.decode_speed)} tokens/s"
                )
            case MeasuredModel() as model:
                measured.model = model
            case SkippedLength() as skipped:
                measured.skipped.append(skipped)
            case None:
                measured.said.append(text)
    _cleared(is_terminal)


def _cleared(is_terminal: bool) -> None:
    if is_terminal:
        sys.stderr.write(_ERASE)
        sys.stderr.flush()


class _Stderr:
    """Reads the program's log in a thread, so that it never waits for a full pipe."""

    def __init__(self, stream: Any) -> None:
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)

    def __enter__(self) -> _Stderr:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(1.0)

    def last(self) -> str:
        """The last line that says something."""
        self._thread.join(1.0)
        return next((line for line in reversed(self._lines) if line), "")

    def _read(self, stream: Any) -> None:
        with suppress(ValueError, OSError):  # closed meanwhile
            for line in stream:
                self._lines = [*self._lines[-_LAST_LINES:], line.strip()]


def _finish(run: BenchRun, facts: ModelFacts, home: Path, *, as_json: bool) -> None:
    if not run.rows:
        if as_json:
            write_data(run_as_json(run, None, "") + "\n")
        if run.ended == "interrupted":
            say("interrupted before anything was measured; nothing was kept")
        return
    records = BenchRecords(home)
    before = records.before(run)
    try:
        file = str(records.keep(run))
    except OSError as error:
        file = ""
        say(f"this run could not be kept: {error}")
    if as_json:
        write_data(run_as_json(run, before, file) + "\n")
    else:
        write_data("".join(f"{line}\n" for line in report(run, before, terminal_width())))
    if run.ended:
        say(f"{run.ended}: what was measured until then is kept")
    if file:
        say(f"kept in {file}" + ("" if before is not None else "; the next run is compared with it"))


def _configured(config: HostConfig) -> str:
    if config.backend != "mlx":
        raise CommandFailed(
            ExitCode.USAGE, f"the backend {config.backend_name} has its own model; name one of models list"
        )
    return config.model or bundled_model.NAME


def lengths_of(text: str) -> list[int]:
    """The lengths of `--lengths`, such as `1k,4k,16384`.

    Raises:
        CommandFailed: it is no such list.
    """
    found = []
    for part in text.lower().split(","):
        number, times = (part[:-1], 1024) if part.endswith("k") else (part, 1)
        if not (number.strip().isascii() and number.strip().isdigit() and 16 <= int(number) * times < 10**7):
            raise CommandFailed(
                ExitCode.USAGE, f'--lengths is "{text}"; allowed: tokens between commas, such as 1k,4k,16384'
            )
        found.append(int(number) * times)
    return sorted(set(found))

"""`make mac-report`: what this Mac is and does with a model, in one file to send.

The developers may not have a Mac like yours. The report contains what they need: versions, GPU, the chosen
chunk size, whether a cached answer is identical to the last bit, the memory that the engine and the system
report, and prefill and decode at five lengths.

It starts its own engine. End your host first, or the model is loaded twice. With the bundled model it takes
minutes, with a model of 17 GB half an hour. The file is written after each part, so that an interrupted run
leaves the finished parts; a failed part says why. Nothing is sent anywhere.

The report does not contain paths of your folders, your name, the name of your machine, serial numbers or your
prompts (the measured prompts are made of Python's own sources). Read it before you send it.

Exit codes: 0 all parts are complete, 1 a part failed and says why, 2 wrong options, 130 interrupted.
"""

from __future__ import annotations

import argparse
import getpass
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import machine_facts
from bench.child import clean_environment, python
from bench.engine_figures import (
    LENGTHS,
    EngineUnderTest,
    MemorySample,
    Refused,
    Speed,
    engine_under_test,
    lengths_for,
)
from bench.machine_facts import Fact
from bench.privacy import Privacy
from engine.process.blas import engine_environment

MISSING = "not reported"
PREFILL_FIELDS = ("chunk_tokens", "fixed_s", "per_token_s", "measured_for")
MEMORY_FIELDS = (
    "limit_bytes",
    "limit_reason",
    "weights_bytes",
    "prefix_cache_bytes",
    "requests_bytes",
    "draft_bytes",
    "write_queue_bytes",
    "buffer_cache_bytes",
    "active_bytes",
    "peak_bytes",
    "buffers",
    "buffers_limit",
    "window_tokens",
    "pressure",
)
SPEED_HEADS = (
    "prompt tokens",
    "prefill, tokens/s",
    "first token, s",
    "decode, tokens/s",
    "answer tokens",
    "again, s",
    "of it cached",
)
SYSTEM_HEADS = (
    "GB, the system's account",
    "engine says",
    "resident",
    "footprint",
    "available",
    "wired",
    "swap",
    "pressure",
)
QUICK_LENGTHS = (64, 128, 256, 512, 1024)
_QUICK_EXACTNESS = ("--conversations", "1", "--turns", "2", "--head", "200", "--answer", "8")
_ROOT = Path(__file__).parents[1]
_LOG_LINES = 15


class Report:
    """The file, rewritten after each part; `failures` names the incomplete parts."""

    def __init__(self, path: Path, privacy: Privacy, head: Sequence[str]) -> None:
        self._path, self._privacy = path, privacy
        self._lines = list(head)
        self.failures: list[str] = []

    def part(self, title: str, lines: Callable[[], Iterable[str]]) -> None:
        """Add a part; a failed part contains what it had, and why it failed."""
        self._lines += ["", f"## {title}", ""]
        try:
            for line in lines():
                self._lines.append(line)
                self._write()
        except KeyboardInterrupt:
            self._fail(title, "it was interrupted")
            raise
        except Exception as error:
            self._fail(title, f"{type(error).__name__}: {error}")
        self._write()

    def _fail(self, title: str, why: str) -> None:
        self.failures.append(title)
        self._lines += ["", f"FAILED: {why}"]
        self._write()

    def _write(self) -> None:
        """Write to disk at once: the machine itself may fail next."""
        with self._path.open("w", encoding="utf-8") as stream:
            stream.write(self._privacy.clean("\n".join(self._lines)) + "\n")
            stream.flush()
            os.fsync(stream.fileno())


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `python -m bench.mac_report`."""
    chosen = _parser().parse_args(arguments)
    out = Path(chosen.out)
    with tempfile.TemporaryDirectory(prefix="anyclaude-report-") as name:
        folder = Path(name)
        day = datetime.now(UTC).strftime("%Y-%m-%d")
        head = [f"# Report of anyclaude-tui on a Mac, {day}", "", f"model: {shown_model(chosen.model)}"]
        try:
            report = Report(out, _privacy(chosen.model, folder, out), head)
            _write_parts(report, chosen, folder)
        except OSError as error:
            _say(f"{out} cannot be written: {error.strerror}")
            return 2
        except KeyboardInterrupt:
            _say(f"interrupted; what is known so far is in {out}")
            return 130
    failed = f"; failed: {', '.join(report.failures)}" if report.failures else ""
    _say(f"the report is in {out}{failed}. Read it, then send it as docs/mac.md says")
    return 1 if report.failures else 0


def _write_parts(report: Report, chosen: argparse.Namespace, folder: Path) -> None:
    import mlx.core as mx

    _say("what this machine is")
    report.part("Machine", lambda: facts(machine_facts.system_facts()))
    commit = machine_facts.commit_of(_ROOT)
    report.part("Software", lambda: facts(machine_facts.software_facts(commit)))
    report.part("GPU", lambda: facts(machine_facts.gpu_facts(mx)))
    terminal = machine_facts.terminal_facts(os.environ, machine_facts.color_system())
    report.part("Terminal and disk", lambda: facts([*terminal, machine_facts.backup_fact(folder)]))
    if not chosen.without_exactness:
        _say("is a cached answer the same? this loads the model once")
        report.part("Exactness", lambda: exactness(chosen.model, quick=chosen.quick))
    samples: list[MemorySample] = []
    stats: dict[str, Any] = {}
    report.part("Speed", lambda: _measured(chosen, folder, samples, stats))
    report.part("Prefill chunks", lambda: facts(fields(stats.get("prefill"), PREFILL_FIELDS)))
    report.part("Memory", lambda: memory(samples))


def _measured(
    chosen: argparse.Namespace, folder: Path, samples: list[MemorySample], stats: dict[str, Any]
) -> Iterator[str]:
    """The engine's speeds; its memory is added to `samples` meanwhile, its last `/stats` to `stats`."""
    log = folder / "engine.log"
    try:
        with engine_under_test(folder, chosen.model, _say) as engine:
            yield from _speeds(engine, chosen, samples, stats)
    except Exception:  # also of the client: an engine that a GPU fault ends leaves a broken connection
        tail = log.read_text(errors="replace").splitlines()[-_LOG_LINES:] if log.exists() else []
        yield from ["", "The engine's last lines:", "", *(f"    {line}" for line in tail)]
        raise


def _speeds(
    engine: EngineUnderTest, chosen: argparse.Namespace, samples: list[MemorySample], stats: dict[str, Any]
) -> Iterator[str]:
    health = engine.health()
    stats |= engine.stats()
    samples.append(engine.sample("after loading"))
    ledger = stats.get("memory") or {}
    window = int(ledger.get("window_tokens") or health["context_tokens"])
    yield from facts(
        [
            ("computes on", str(health["accelerated"])),
            ("window", f"{window:,} tokens"),
            ("notes", "; ".join(health["notes"]) or "none"),
        ]
    )
    yield ""
    yield table_row(SPEED_HEADS)
    yield table_row(["---:"] * len(SPEED_HEADS))
    lengths = chosen.lengths or (QUICK_LENGTHS if chosen.quick else LENGTHS)
    lengths = lengths_for(window, lengths)
    for number, speed in enumerate(engine.speeds(lengths)):
        if isinstance(speed, Refused):
            yield table_row([f"{lengths[number]:,}", f"refused: {figure('', str(speed))}"])
        else:
            _say(f"{speed.prompt_tokens:,} tokens: first token after {speed.first_s:.1f} s")
            yield speed_row(speed)
        stats |= engine.stats()
        samples.append(engine.sample(f"after {lengths[number]:,} tokens"))


def speed_row(speed: Speed) -> str:
    """One row of the table of speeds."""
    decode = f"{speed.decode_per_s:.1f}" if speed.decode_per_s is not None else "too few"
    cells = (
        f"{speed.prompt_tokens:,}",
        f"{speed.prefill_per_s:,.0f}",
        f"{speed.first_s:.2f}",
        decode,
        str(speed.answer_tokens),
        f"{speed.again_s:.2f}",
        f"{speed.again_cached:,}",
    )
    return table_row(cells)


def table_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def exactness(model: str, *, quick: bool) -> Iterator[str]:
    """The table of `engine.verification`, run in its own process.

    Raises:
        RuntimeError: it found a difference, or could not compare; the message ends with its last line.
    """
    command = [*python("-m", "engine.verification"), "--model", model]
    command += _QUICK_EXACTNESS if quick else ()
    environment, _ = engine_environment(clean_environment())
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        stdout, stderr = process.communicate()
    yield from (f"    {line}" for line in stdout.splitlines())
    if process.returncode:
        last = (stderr.splitlines() or ["without a word"])[-1]
        raise RuntimeError(f"exit code {process.returncode}; {last if not stdout else 'see the table'}")


def memory(samples: Sequence[MemorySample]) -> Iterator[str]:
    """The memory that the engine reports at its start and its end, and what the system reports each time."""
    if not samples:
        yield MISSING
        return
    first, last = samples[0], samples[-1]
    yield f"| the engine's account | {first.when} | {last.when} |"
    yield "|---|---:|---:|"
    before, after = (dict(fields(sample.ledger, MEMORY_FIELDS)) for sample in (first, last))
    for name in after:
        yield f"| {name} | {before.get(name, MISSING)} | {after[name]} |"
    yield ""
    yield table_row(SYSTEM_HEADS)
    yield table_row(["---"] * len(SYSTEM_HEADS))
    for sample in samples:
        cells = (
            sample.when,
            gb(sample.said_by_health),
            gb(sample.resident),
            sample.footprint,
            gb(sample.available),
            gb(sample.wired) if sample.wired is not None else MISSING,
            gb(sample.swap),
            sample.pressure,
        )
        yield table_row(cells)


def fields(reported: Mapping[str, Any] | None, wanted: Sequence[str]) -> list[Fact]:
    """Each requested field, then the other reported ones; an engine may report none."""
    known = reported or {}
    names = [*wanted, *(name for name in known if name not in wanted)]
    return [(name, figure(name, known.get(name))) for name in names]


def figure(name: str, value: Any) -> str:
    """A value for people: bytes in GB, counts with digits grouped by three."""
    if value is None:
        return MISSING
    if isinstance(value, int | float) and not isinstance(value, bool):
        if name.endswith("_bytes"):
            return f"{gb(value)} GB"
        return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"
    return " ".join(str(value).split()).replace("|", "/")


def gb(value: float) -> str:
    return f"{value / 1e9:.2f}"


def facts(found: Iterable[Fact]) -> Iterator[str]:
    return (f"- {name}: {value}" for name, value in found)


def shown_model(model: str) -> str:
    """A model's name without its parent folders; a hub id is complete."""
    if not model:
        return "bundled demo model"
    is_path = model.startswith((".", "~", "/")) or Path(model).exists()
    return Path(model).expanduser().resolve().name if is_path else model


def _privacy(model: str, folder: Path, out: Path) -> Privacy:
    named = [folder, out.absolute(), Path.cwd(), _ROOT, Path(sys.prefix)]
    named += [Path(model).expanduser().absolute()] if model else []
    paths = {str(path) for path in named} | {str(path.resolve()) for path in named}
    return Privacy(home=str(Path.home()), folders=paths, host=socket.gethostname(), user=getpass.getuser())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='make mac-report ARGS="…"',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='Example: make mac-report ARGS="--model mlx-community/Qwen3-Coder-30B-A3B-Instruct-4bit"',
    )
    parser.add_argument("--model", default="", help="folder or hub id; default: the bundled model")
    parser.add_argument("--out", default="mac-report.md", help="the file to write (default: mac-report.md)")
    parser.add_argument(
        "--lengths",
        type=_lengths,
        help=f"of prompts, in tokens, by commas; default: {','.join(map(str, LENGTHS))} or what fits",
    )
    parser.add_argument(
        "--quick", action="store_true", help="short prompts: shows that it works, not how fast"
    )
    parser.add_argument(
        "--without-exactness", action="store_true", help="leave that part out; it takes longest"
    )
    return parser


def _lengths(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(f"must be whole numbers of 1 or more, by commas, not {text}")
    return sorted(map(int, parts))


def _say(line: str) -> None:
    print(f"mac-report: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

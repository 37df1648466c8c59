"""Each architecture of mlx-lm through the engine: loads, reuses, exact from memory and from disk, batched?

    python -m bench.architectures [NAME …] [--jobs N] [--json FILE]

Each model runs in a process of its own, since some architectures end it. It prints a Markdown table, and
exits with 1 if a model crashed, gave another answer from its cache, or changed beside a neighbour without
being decoded alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlx.core as mx

from bench.architecture_models import WINDOW, configurations, modules_of_mlx_lm, write_architecture
from engine.cache_verification import NotComparable, conversations, is_exact, verify
from engine.model_files.errors import ModelError, first_line
from engine.models.loading import LoadedModel
from engine.prefix_cache.layers import leaves
from engine.process.blas import engine_environment
from engine.scheduling.runner import ModelRunner
from engine.settings import EngineSettings
from engine.startup import load
from engine.trials.caching import restore_fault

_CHUNK = 64  # tokens: several chunks in a short prompt
_HEAD = 4 * WINDOW  # tokens of the shared prefix: behind the windows
_TIMEOUT_S = 600
_TOLERANCE = 0.05  # of the logits' spread: beyond it a neighbour changes what is said
_MOST_TEXT = 160


@dataclass
class ArchitectureRow:
    """What one architecture did; texts are empty for what was not reached.

    `reused` is the share of prompt tokens that came from memory, `beside` the largest change of a logit by
    neighbours, in standard deviations of the logits. `sound` is false for a crash or a wrong answer.
    """

    name: str
    loads: str = ""
    caches: str = ""
    reused: float | None = None
    warm: str = ""
    restored: str = ""
    batched: str = ""
    beside: float | None = None
    notes: str = ""
    sound: bool = True


def examined(name: str, folder: Path) -> ArchitectureRow:
    """Build, load and verify one model, in this process."""
    row = ArchitectureRow(name)
    try:
        write_architecture(name, folder)
    except (Exception, SystemExit) as error:  # mlx-lm's module may raise any type, and end the process
        row.loads = f"mlx-lm cannot build it: {_short(error)}"
        return row
    try:
        loaded = load(EngineSettings(model=str(folder), prefill_chunk=_CHUNK), lambda done, what: None)
    except ModelError as error:
        row.loads = f"refused: {_short(error).replace(str(folder), name)}"
        return row
    row.loads = "yes"
    runner = ModelRunner(loaded)
    kinds = Counter(type(layer).__name__ for layer in leaves(runner.new_cache()))
    row.caches = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    row.batched = f"alone, {loaded.alone}" if loaded.alone else "yes"
    fault = restore_fault(runner)
    told = [note for note in loaded.notes if not loaded.alone or loaded.alone not in note]
    row.notes = "; ".join([f"not cached: {fault}", *told] if fault else told)
    if fault:
        row.warm = row.restored = "not cached"
        return row
    _verify(row, loaded)
    return row


def _verify(row: ArchitectureRow, loaded: LoadedModel) -> None:
    made = conversations(loaded, 1, 3, _HEAD, 3)
    try:
        outcomes = verify(loaded, made, chunk=_CHUNK, answer_tokens=8)
    except NotComparable as error:
        row.warm = row.restored = f"not comparable: {_short(error)}"
        return
    exact = {way: is_exact(outcome) for way, outcome in outcomes.items()}
    row.reused = outcomes["warm"].reused / outcomes["warm"].prompt
    row.warm, row.restored = (_exactly(exact[way]) for way in ("warm", "disk"))
    row.sound = exact["warm"] and exact["disk"]
    row.beside = outcomes["batched"].largest / _spread(loaded, made[0][0])
    if not loaded.alone and row.beside > _TOLERANCE:
        row.batched = f"yes, changes by {row.beside:.2g}"
        row.sound = False


def _spread(loaded: LoadedModel, tokens: Sequence[int]) -> float:
    runner = ModelRunner(loaded)
    logits = runner(mx.array([list(tokens[:_CHUNK])]), cache=runner.new_cache())[0].astype(mx.float32)
    spread = mx.std(logits).item()
    assert isinstance(spread, float)
    return spread or 1.0


def _exactly(exact: bool) -> str:
    return "exact" if exact else "DIFFERS"


def _short(error: BaseException) -> str:
    text = first_line(error) if not isinstance(error, SystemExit) else f"it ends the program ({error})"
    return text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 1] + "…"


def _in_own_process(name: str) -> ArchitectureRow:
    environment = engine_environment(os.environ)[0] | {
        "HF_HUB_OFFLINE": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    with tempfile.TemporaryDirectory(prefix="anyclaude-architecture-") as made:
        out = Path(made) / "row.json"
        command = [sys.executable, "-m", "bench.architectures", name, "--here", str(out)]
        try:
            ended = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
            )
            row = ArchitectureRow(**json.loads(out.read_text(encoding="utf-8")))
        except subprocess.TimeoutExpired:
            return ArchitectureRow(name, loads=f"no answer in {_TIMEOUT_S} s", sound=False)
        except (OSError, ValueError):
            if ended.returncode < 0:
                died = f"ends its process with signal {-ended.returncode}"
            else:
                last = (ended.stderr.strip().splitlines() or [""])[-1]
                died = f"ended with {ended.returncode}: {last[:120]}"
            return ArchitectureRow(name, loads=died, sound=False)
    return row


def table(rows: Iterable[ArchitectureRow]) -> list[str]:
    """The Markdown table, a line a row."""
    names = ("architecture", "loads", "caches", "reused", "warm", "restored", "batched", "notes")
    lines = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    for row in rows:
        reused = "" if row.reused is None else f"{row.reused:.0%}"
        cells = (row.name, row.loads, row.caches, reused, row.warm, row.restored, row.batched, row.notes)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Examine the named architectures, or all."""
    known = configurations()
    parser = argparse.ArgumentParser(
        prog="python -m bench.architectures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a model type; default: all")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)  # one model, in this process
    chosen = parser.parse_args(arguments)
    if unknown := sorted(set(chosen.names) - known.keys()):
        parser.error(f"no configuration of {', '.join(unknown)}; there are: {', '.join(sorted(known))}")
    if chosen.here is not None:
        with tempfile.TemporaryDirectory(prefix="anyclaude-model-") as made:
            row = examined(chosen.names[0], Path(made) / chosen.names[0])
        chosen.here.write_text(json.dumps(asdict(row)), encoding="utf-8")
        return 0
    names = chosen.names or sorted(known)
    rows: list[ArchitectureRow] = []
    with ThreadPoolExecutor(max(1, chosen.jobs)) as pool:
        for row in pool.map(_in_own_process, names):
            rows.append(row)
            _tell(f"{len(rows)} of {len(names)}: {row.name}: {row.loads}")
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    for line in table(rows):
        print(line)
    _tell(summary(rows))
    return 0 if all(row.sound for row in rows) else 1


def summary(rows: Sequence[ArchitectureRow]) -> str:
    """One line: how many load, are exact and are batched, and what mlx-lm has beyond them."""
    counts: dict[str, Any] = {
        "load": sum(row.loads == "yes" for row in rows),
        "are exact warm": sum(row.warm == "exact" for row in rows),
        "restored": sum(row.restored == "exact" for row in rows),
        "are batched": sum(row.batched.startswith("yes") for row in rows),
    }
    missing = sorted(set(modules_of_mlx_lm()) - configurations().keys())
    left = f"; no configuration of {', '.join(missing)}" if missing else ""
    said = ", ".join(f"{count} {what}" for what, count in counts.items())
    return f"mlx-lm {version('mlx-lm')}: of {len(rows)}, {said}{left}"


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""`make claude-day`: each scenario of a day in the real Claude Code, on a host with a scripted model.

The results go into the table of docs/compatibility.md. Exit code 1 when a scenario fails.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path

from bench.claude_code import claude_is_there, claude_path
from bench.claude_day import (
    faults,
    media,
    sessions,
    terminal,
    tools,
    work,
)  # the rows, in the order of the day
from bench.claude_day.scenario import SCENARIOS, Scenario
from bench.claude_day.stage import stage
from bench.claude_day.table import Outcome, merged

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs/compatibility.md"
ROWS_OF = (work, tools, terminal, media, sessions, faults)
AT_ONCE = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the chosen scenarios and write their rows."""
    chosen = _parser().parse_args(arguments)
    rows = _in_order()
    if chosen.list:
        for one in rows:
            print(f"{one.name:34} {one.checked}")
        return 0
    # Names of several words come as several, as in `make claude-day ARGS="--only plan mode"`.
    wanted = " ".join(chosen.only).split(",")
    names = [name.strip() for name in wanted] if chosen.only else [one.name for one in rows]
    if unknown := [name for name in names if name not in SCENARIOS]:
        print(f"no scenario {', '.join(unknown)}; --list names them all", file=sys.stderr)
        return 2
    if not claude_is_there():
        print(f"Claude Code is not at {claude_path()}: run `make claude-code` (needs npm)", file=sys.stderr)
        return 2
    version, folder = client_version(claude_path()), Path(tempfile.mkdtemp(prefix="anyclaude-day-"))

    def write(outcome: Outcome) -> None:
        if not chosen.no_table:
            before = DOCUMENT.read_text("utf-8")
            DOCUMENT.write_text(merged(before, rows, [outcome], version), encoding="utf-8")

    outcomes = _play([SCENARIOS[name] for name in names], folder, version, chosen.at_once, write)
    failed = [outcome for outcome in outcomes if outcome.problems]
    for outcome in failed:
        print(f"\n{outcome.name} failed; recordings in {folder / _folder_name(outcome.name)}")
        print("\n".join(f"  {problem}" for problem in outcome.problems))
    if failed or chosen.keep:
        print(f"\nrecordings are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"Claude Code {version}: {len(outcomes) - len(failed)} of {len(outcomes)} scenarios passed")
    return 1 if failed else 0


def _in_order() -> list[Scenario]:
    """The rows of the table: those of a module stand together."""
    modules = [module.__name__ for module in ROWS_OF]
    return sorted(SCENARIOS.values(), key=lambda one: modules.index(one.play.__module__))


def client_version(claude: Path) -> str:
    """What the client says of itself, such as 2.1.332."""
    said = subprocess.run([str(claude), "--version"], capture_output=True, text=True, timeout=60, check=True)
    return said.stdout.split()[0]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.claude_day", description=__doc__)
    parser.add_argument(
        "--only",
        nargs="+",
        default=(),
        metavar="NAME,…",
        help="these scenarios; the other rows stay as they are",
    )
    parser.add_argument("--list", action="store_true", help="the names of all scenarios")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, metavar="N", help="scenarios at a time")
    parser.add_argument("--keep", action="store_true", help="keep the recordings of scenarios that pass, too")
    parser.add_argument("--no-table", action="store_true", help="leave the table in the document alone")
    return parser


def _play(
    chosen: Sequence[Scenario], folder: Path, version: str, at_once: int, told: Callable[[Outcome], None]
) -> list[Outcome]:
    """Play them, some at a time; each outcome is told as it comes."""
    done: list[Outcome] = []
    with ThreadPoolExecutor(max_workers=max(1, at_once)) as pool:
        running = [pool.submit(_play_one, one, folder, version) for one in chosen]
        for future in as_completed(running):
            outcome = future.result()
            done.append(outcome)
            told(outcome)
            word = "FAILED" if outcome.problems else "passed"
            print(f"[{len(done)}/{len(chosen)}] {word} {outcome.name} ({outcome.seconds:.0f} s)", flush=True)
    return done


def _play_one(one: Scenario, folder: Path, version: str) -> Outcome:
    began, problems = time.monotonic(), list[str]()
    lacks: list[str] = []
    place = folder / _folder_name(one.name)
    try:
        with stage(place, claude_path(), one.settings, scripted_model=one.scripted_model) as on:
            on.version = tuple(int(part) for part in version.split("."))
            on.allowed_errors, on.lacks = one.errors_shown, lacks
            try:
                one.play(on)
            except (AssertionError, TimeoutError, subprocess.TimeoutExpired) as failure:
                problems.append(f"{type(failure).__name__}: {str(failure)[:3000]}")
            problems += on.problems()
            (place / "screens.txt").write_text("\n=====\n".join(on.screens), encoding="utf-8")
    except Exception:  # one broken scenario must not end the others
        problems.append(traceback.format_exc(limit=4)[-3000:])
    today = datetime.now(UTC).date().isoformat()
    return Outcome(one.name, tuple(problems), time.monotonic() - began, today, tuple(lacks))


def _folder_name(name: str) -> str:
    return re.sub(r"\W+", "-", name)


if __name__ == "__main__":
    sys.exit(main())

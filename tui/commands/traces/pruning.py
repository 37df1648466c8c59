"""`anyclaude-tui traces prune`."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from proxy.traces.files import TRACES_FOLDER
from proxy.traces.metrics.cache_metrics import METRICS_FOLDER, CacheMetrics
from proxy.traces.opened_index import opened_index
from proxy.traces.retention import DAY_S, Limits, Pruned, PrunePlan, plan_prune, prune
from tui.client.figures import day_and_clock, plural
from tui.client.figures import size as size_text
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.output import write_data
from tui.commands.traces.places import moment

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def run_traces_prune(
    invocation: Invocation, *, older: str, size: str, keep: int, yes: bool, as_json: bool
) -> int:
    """Print what is over the limits, and with `yes` remove it; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError, tui.commands.exit_codes.CommandFailed: see `Invocation`; an
        option is wrong, or not all could be removed.
        OSError: the folder cannot be read.
    """
    config = invocation.settle().config
    folder = config.home / TRACES_FOLDER
    days = (time.time() - moment(older, "--older")) / DAY_S if older else 0.0
    limits = Limits(days, _bytes(size), keep) or Limits(config.trace_max_days, config.trace_max_bytes)
    if days < 0:
        raise CommandFailed(ExitCode.USAGE, f"--older {older} is in the future")
    plan = plan_prune(folder, limits)
    if as_json:
        write_data(json.dumps(asdict(plan) | {"limits": asdict(limits), "removed": yes}) + "\n")
    else:
        write_data("".join(f"{line}\n" for line in _lines(plan)))
    kept = f"{plural(plan.kept, 'trace')} ({size_text(plan.kept_bytes)}) within {limits}"
    marked = f", {plan.marked:,} of them only for their mark" if plan.marked else ""
    if not plan.removals:
        say(f"nothing to remove: there are {kept}{marked}")
    elif not yes:
        say(f"{_sum(plan)} would be removed, and {kept} would stay{marked}; --yes removes them")
    else:
        done = _remove(folder, plan)
        say(f"{plural(done.traces, 'trace')} ({size_text(done.bytes)}) removed; {kept} stay{marked}")
        if done.failed:
            raise CommandFailed(
                ExitCode.USAGE, f"{plural(done.failed, 'trace')} could not be removed: {done.error}"
            )
    return ExitCode.FINE


def _remove(folder: Path, plan: PrunePlan) -> Pruned:
    try:
        with opened_index(folder, notice=say) as index:
            return prune(
                folder, index, plan, metrics=CacheMetrics(folder.parent / METRICS_FOLDER, notice=say)
            )
    except sqlite3.Error as error:
        raise CommandFailed(
            ExitCode.USAGE,
            f"the trace index cannot be written ({error}); some traces may be removed already, no other was"
            " touched; run it again later",
        ) from None


def _lines(plan: PrunePlan) -> Iterator[str]:
    for removal in plan.removals:
        where = f"{size_text(removal.bytes):>7}  {removal.reason:<5}  {removal.path}"
        yield f"{day_and_clock(removal.time)}  {where}"


def _sum(plan: PrunePlan) -> str:
    return f"{plural(len(plan.removals), 'trace')} ({size_text(plan.bytes)})"


def _bytes(text: str) -> int:
    if not text:
        return 0
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)\s*([KMGT]?B?)", text.strip(), re.IGNORECASE)
    unit = (found[2].upper().removesuffix("B") + "B") if found and found[2] else ""
    unit = "" if unit == "B" else unit
    if found is None or not (value := int(float(found[1]) * _UNITS[unit])):
        raise CommandFailed(ExitCode.USAGE, f"--size is {text!r}; allowed: bytes, such as 500MB or 1.5GB")
    return value

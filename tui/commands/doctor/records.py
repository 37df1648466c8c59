"""Checks what is recorded: the traces, their index, the prefix cache on disk; how old, how large."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from proxy.traces.files import TRACES_FOLDER, time_in, trace_files
from proxy.traces.index import INDEX_NAME
from proxy.traces.index_tables import INDEX_VERSION, IndexDamaged, check_tables, is_damage
from proxy.traces.opened_index import opened_index
from proxy.traces.retention import Limits, plan_prune
from tui.client.figures import day_and_clock, plural, size
from tui.commands.doctor.examination import Examination
from tui.commands.doctor.findings import Check, Finding, Repair, failed, ok, warning
from tui.commands.doctor.state_folder import cache_folders

_FIX = "anyclaude-tui doctor --fix makes it anew from the trace files; so does the next start of a host"
_BUSY_S = 1.0
_SLACK = 1.1  # evicted files are removed a moment after others were written


def check_index(examination: Examination) -> Finding:
    """Is the index sound, of this version, and does it say what lies in the folder?"""
    folder = examination.config.home / TRACES_FOLDER
    files = set(trace_files(folder))  # before the index, which learns of a trace after its file is there
    path = folder / INDEX_NAME
    if not path.is_file() or not path.stat().st_size:
        if not files:
            return ok("there are no traces yet")
        return warning(f"{plural(len(files), 'trace')} without an index", _FIX, repair=_rebuilding(folder))
    try:
        version, fault, indexed = _looked_into(path)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if is_damage(error) or isinstance(error, IndexDamaged):
            return failed(f"{path} is damaged ({error}); no trace is lost", _FIX, repair=_rebuilding(folder))
        return warning(
            f"{path} cannot be read now ({error}); another program uses it", "run this again", holds=False
        )
    if version > INDEX_VERSION:
        return failed(
            f"{path} is of version {version}, made by a newer anyclaude-tui; this one knows {INDEX_VERSION}",
            "update this program, or delete that file: the traces make it anew",
        )
    if fault:
        return failed(f"{path} is damaged ({fault}); no trace is lost", _FIX, repair=_rebuilding(folder))
    if version < INDEX_VERSION:
        return warning(f"{path} is of an older version ({version})", _FIX, repair=_rebuilding(folder))
    unknown, gone = len(files - indexed), len(indexed - files)
    if unknown or gone:
        return warning(
            f"the index is stale: it lacks {plural(unknown, 'trace')} and lists {gone:,} that are gone",
            _FIX,
            repair=_rebuilding(folder),
        )
    return ok(f"sound, with all {plural(len(files), 'trace')}")


def _looked_into(path: Path) -> tuple[int, str, set[str]]:
    """Its version, what SQLite finds wrong with it, and the paths of its traces; it is not changed."""
    db = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_BUSY_S)
    try:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version != INDEX_VERSION:
            return version, "", set()
        check_tables(db)
        said = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
        paths = {name for (name,) in db.execute("SELECT path FROM traces")}
        return version, "" if said == "ok" else said, paths
    finally:
        db.close()


def _rebuilding(folder: Path) -> Repair:
    def rebuild() -> list[str]:
        said: list[str] = []
        with opened_index(folder, notice=said.append) as index:
            count = sum(map(len, index.paths()))
        return [*said, f"the index of {folder} knows {plural(count, 'trace')} now"]

    return rebuild


def check_traces(examination: Examination) -> Finding:
    """How many traces, how large and how old, against the limits?"""
    config = examination.config
    folder = config.home / TRACES_FOLDER
    limits = Limits(config.trace_max_days, config.trace_max_bytes)
    plan = plan_prune(folder, limits, now=examination.edge.clock())
    paths = list(trace_files(folder))
    if not paths:
        return ok(f"none yet; kept within {limits}" if config.trace else "tracing is off")
    oldest = day_and_clock(time_in(paths[-1].rsplit("/", 1)[-1]))
    evidence = (
        f"{plural(len(paths), 'trace')}, {size(plan.kept_bytes + plan.bytes)}, the oldest of {oldest}; "
        f"kept within {limits}"
    )
    if plan.removals:
        return warning(
            f"{evidence}: {plural(len(plan.removals), 'trace')} over it",
            "a host removes them at its start and every hour; or: anyclaude-tui traces prune --yes",
        )
    return ok(evidence)


def check_cache_files(examination: Examination) -> Finding:
    """How large is the prefix cache on disk, and how old?"""
    config = examination.config
    times: list[float] = []
    total = 0
    for file in _files(config.kv_cache_folder):
        try:
            status = file.stat()
        except OSError:
            continue  # evicted meanwhile
        total += status.st_size
        times.append(status.st_mtime)
    if not times:
        return ok("empty")
    evidence = (
        f"{plural(len(times), 'file')}, {size(total)} of at most {size(config.disk_cache_bytes)}, "
        f"the oldest of {day_and_clock(min(times))}"
    )
    if total > config.disk_cache_bytes * _SLACK:
        return warning(
            evidence,
            f"the next start of the engine brings it below its limit; or remove {config.kv_cache_folder} "
            "while no host runs",
        )
    return ok(evidence)


def _files(folder: Path) -> Iterator[Path]:
    for part in cache_folders(folder):
        yield from (path for path in part.iterdir() if path.is_file() and not path.is_symlink())


CHECKS = (
    Check("traces.index", "index of traces", check_index, ("state.permissions",)),
    Check("traces.size", "traces", check_traces, ("state.permissions",)),
    Check("cache.files", "cache on disk", check_cache_files, ("state.permissions",)),
)

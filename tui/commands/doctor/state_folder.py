"""Checks the state folder: room on its disk, who can read it, and what dead sessions left."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil

from engine.process.private_files import FILE_MODE, FOLDER_MODE
from proxy.configuration.files import STATE_FOLDER
from tui.client.figures import plural, size
from tui.commands.claude_settings import left_behind
from tui.commands.doctor.examination import Examination
from tui.commands.doctor.findings import Check, Finding, failed, ok, warning

LEAST_FREE, FEW_FREE = 500_000_000, 5_000_000_000  # bytes
_FOLDERS = ("traces", "cache-metrics", "health", "logs", "run", "trust")
_KV_CACHE = "kv-cache"
_CACHE_FOLDER = re.compile(r"[0-9a-f]{32}|set-aside")  # beside which a user may keep other files
_NAME_A_PROCESS = ("claude-settings-*.json", "host-*.json")  # the first of sessions, the second of hosts
_SHOWN = 3
_OTHERS = 0o077  # what a mode allows to group and others


def check_space(examination: Examination) -> Finding:
    """Is there room for traces and the prefix cache?"""
    home = examination.config.home
    free = examination.edge.free_bytes(_existing(home))
    evidence = f"{size(free)} are free on the disk of {home}"
    more = "free some: anyclaude-tui traces prune; diskCacheBytes and traceMaxBytes limit what is kept"
    if free < LEAST_FREE:
        return failed(f"{evidence}: new traces and prompts cannot be kept", more)
    return warning(evidence, more) if free < FEW_FREE else ok(evidence)


def check_permissions(examination: Examination) -> Finding:
    """Can this user write the state folder, and nobody else read it?"""
    home = examination.config.home
    if not home.exists():
        above = _existing(home)
        if not os.access(above, os.W_OK | os.X_OK):
            return failed(
                f"{home} cannot be made: {above} is not yours to write", "choose another with --home"
            )
        return ok(f"{home} is not there yet; the first start makes it")
    if not home.is_dir():
        return failed(f"{home} is no folder", "move it away, or choose another folder with --home")
    entries = list(_entries(home))
    others = [path for path, status in entries if status.st_uid != os.geteuid()]
    locked = [path for path in (home, *_folders(home)) if not os.access(path, os.W_OK | os.X_OK)]
    if others or locked:
        path = (others or locked)[0]
        what = "belongs to another user" if others else "cannot be written by you"
        count = f" (and {len(others or locked) - 1} more)" if len(others or locked) > 1 else ""
        return failed(f"{path}{count} {what}", f"make it yours: sudo chown -R {_user()} {path}")
    open_ones = [(path, status) for path, status in entries if status.st_mode & _OTHERS]
    if open_ones:
        shown = [f"{path} ({stat.filemode(status.st_mode)})" for path, status in open_ones[:_SHOWN]]
        return failed(
            f"{plural(len(open_ones), 'entry', 'entries')} of {home} can be read or changed by other users: "
            + ", ".join(shown)
            + (" …" if len(open_ones) > _SHOWN else ""),
            "they hold prompts and keys: anyclaude-tui doctor --fix makes them yours alone",
            repair=lambda: _closed([path for path, _ in open_ones]),
        )
    return ok(f"{home} can be read and written by you alone")


def _closed(paths: list[Path]) -> Iterator[str]:
    for path in paths:
        try:  # whoever could write here may have put a link in the file's place: it is not followed
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # gone meanwhile
        try:
            mode = FOLDER_MODE if stat.S_ISDIR(os.fstat(descriptor).st_mode) else FILE_MODE
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)
        yield f"{path} is yours alone now ({mode:04o})"


def _folders(home: Path) -> Iterator[Path]:
    """The folders that are surely ours: with --home the user's own files may lie beside them."""
    for name in _FOLDERS:
        if (folder := home / name).is_dir() and not folder.is_symlink():
            yield folder
    root = home / _KV_CACHE
    if root.is_dir():
        yield root
        yield from cache_folders(root)


def cache_folders(root: Path) -> list[Path]:
    """The folders of the prefix cache's files: the user may keep others beside them."""
    if not root.is_dir():
        return []
    return [path for path in sorted(root.iterdir()) if _CACHE_FOLDER.fullmatch(path.name) and path.is_dir()]


def _entries(home: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """What is ours, without links: folders, and the files in them."""
    if home.name == STATE_FOLDER:
        yield home.resolve(), home.stat()  # it may be a link: what counts is the folder
    for top in _folders(home):
        yield top.resolve(), top.stat()
        if top.name == _KV_CACHE:
            continue  # only its folders that are ours, which come next
        for folder, folders, files in os.walk(top):
            for name in (*folders, *files):
                path = Path(folder, name)
                try:
                    status = path.lstat()
                except OSError:
                    continue  # gone meanwhile
                if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
                    yield path, status


def check_leftovers(examination: Examination) -> Finding:
    """Did a session or host that was killed leave files that name its process?"""
    folder = examination.config.home / "run"
    left = [path for names in _NAME_A_PROCESS for path in left_behind(folder, names)]
    if not left:
        return ok("nothing")
    return warning(
        f"{plural(len(left), 'file')} of processes that are gone in {folder}, first {left[0].name}; "
        "a token may be in those of sessions",
        "anyclaude-tui doctor --fix removes them; so does the next session",
        repair=lambda: _removed(left),
    )


def _removed(paths: list[Path]) -> Iterator[str]:
    for path in paths:
        path.unlink(missing_ok=True)
        yield f"{path} is removed: its process is gone"


def _existing(path: Path) -> Path:
    return next(step for step in (path, *path.parents) if step.exists())


def _user() -> str:
    return psutil.Process().username()


CHECKS = (
    Check("state.space", "disk space", check_space, ("configuration",)),
    Check("state.permissions", "permissions", check_permissions, ("configuration",)),
    Check("state.leftovers", "leftovers", check_leftovers, ("state.permissions",)),
)

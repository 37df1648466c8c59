"""`anyclaude-tui logs`: the log of engine, host and upstream, with levels; of a host that is gone: files."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from proxy.events.health_types import LogEntry, LogLevel, LogSource
from proxy.events.types import HostState
from proxy.timeline.log_levels import LEVELS, LineLevels, level_of, without_level
from proxy.timeline.log_reader import LogReader
from tui.client.figures import clock, day_and_clock
from tui.client.host_client import HostClient, HostError
from tui.client.wire_text import line_text
from tui.commands.events import follow, until_reader_closes
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.output import discard_unwritable_stdout, write_data
from tui.commands.running_host import RunningHost, find_host

SOURCES: tuple[LogSource, ...] = ("engine", "host", "upstream")
_TAIL_BYTES = 1 << 20  # of a file that is read
_LONGEST = 4_000  # characters of a line
_TODAY_S = 72_000.0  # older lines have their day
_STAMP = "%Y-%m-%d %H:%M:%S"  # of the host's program (`logging`)


@dataclass(frozen=True, slots=True)
class LogChoice:
    """Which lines are wanted: from a level up, of some sources (empty: all), at most `lines` older ones."""

    level: LogLevel = "debug"
    sources: Sequence[str] = ()
    lines: int = 200

    def wants(self, entry: LogEntry) -> bool:
        """Whether a line is one of them."""
        loud = LEVELS.index(entry.level) >= LEVELS.index(self.level)
        return loud and (not self.sources or entry.source in self.sources)


def log_choice(level: str, sources: Sequence[str], lines: int) -> LogChoice:
    """The choice that options make.

    Raises:
        CommandFailed: a level or a source that is none.
    """
    known = next((one for one in LEVELS if one == level.lower()), None)
    if known is None:
        raise CommandFailed(ExitCode.USAGE, f"--level {level}: allowed: {', '.join(reversed(LEVELS))}")
    if wrong := [source for source in sources if source not in SOURCES]:
        raise CommandFailed(ExitCode.USAGE, f"--from {wrong[0]}: allowed: {', '.join(SOURCES)}")
    return LogChoice(known, tuple(sources), lines)


def run_logs(invocation: Invocation, choice: LogChoice, *, follows: bool, as_json: bool) -> int:
    """Print the log; with `follows` until ctrl+c, or until the reader closes stdout. Returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError: the configuration is wrong.
        CommandFailed: no host runs, and there is no file of one; or it does not answer.
    """
    line = _as_json if as_json else _as_text
    try:
        host = find_host(invocation)
    except CommandFailed as failed:
        if failed.exit_code != ExitCode.FAILED or invocation.attach:
            raise
        return _print_files(invocation, choice, failed, line)
    client = HostClient(host.url, host.config.token)

    async def print_all() -> None:
        await _print_log(client, host, choice, line, follows=follows)

    async def print_and_close() -> None:
        try:
            await print_all()
        finally:
            await client.close()

    try:
        asyncio.run(until_reader_closes(print_all, client) if follows else print_and_close())
    except BrokenPipeError:
        pass
    finally:
        discard_unwritable_stdout()
    return ExitCode.FINE


async def _print_log(
    client: HostClient,
    host: RunningHost,
    choice: LogChoice,
    line: Callable[[LogEntry], str],
    *,
    follows: bool,
) -> None:
    try:
        state = await client.state()
    except HostError as error:
        raise CommandFailed(ExitCode.FAILED, f"{error}; its files are in {host.config.home}/logs") from None
    _write(_chosen(entries_of(state), choice), line)
    if not follows:
        return
    reader = LogReader()
    reader.read("engine.state", None, state.engine)
    async with aclosing(follow(client, since=state.seq)) as events:
        async for _, event in events:
            try:
                data = event.payload()
            except ValueError:
                continue
            facts = reader.read(event.type, event.request, data) if data is not None else []
            fresh = [
                LogEntry(time=event.time, source=source, level=level, text=text, request=request)
                for source, level, text, request in facts
            ]
            _write(filter(choice.wants, fresh), line)


def entries_of(state: HostState) -> list[LogEntry]:
    """The lines that a host holds; of an older one those of its engine, by their own levels."""
    if state.log:
        return state.log
    times = state.engine_log_times or [0.0] * len(state.engine_log)
    return [
        LogEntry(time=at, source="engine", level=level_of(text), text=without_level(text))
        for at, text in zip(times, state.engine_log, strict=False)
    ]


def _chosen(entries: Iterable[LogEntry], choice: LogChoice) -> list[LogEntry]:
    kept = [entry for entry in entries if choice.wants(entry)]
    return kept[-choice.lines :] if choice.lines else []


def _write(entries: Iterable[LogEntry], line: Callable[[LogEntry], str]) -> None:
    if text := "".join(f"{line(entry)}\n" for entry in entries):
        sys.stdout.write(text)
        sys.stdout.flush()


def _as_json(entry: LogEntry) -> str:
    return json.dumps(entry.model_dump() | {"time": entry.time or None}, ensure_ascii=False)


def _as_text(entry: LogEntry) -> str:
    old = time.time() - entry.time > _TODAY_S
    moment = "-" if not entry.time else day_and_clock(entry.time) if old else clock(entry.time)
    words = line_text(entry.text, _LONGEST)
    return f"{moment:<8}  {entry.level.upper():<7}  {entry.source:<8}  {words}"


# -- without a host ------------------------------------------------------------------------------------------


def _print_files(
    invocation: Invocation, choice: LogChoice, failed: CommandFailed, line: Callable[[LogEntry], str]
) -> int:
    """Print the ends of the files that the last host has left; the exit code says that none runs."""
    folder = invocation.settle().config.home / "logs"
    found = [(path, read) for name, read in _FILES.items() if (path := folder / name).exists()]
    if not found:
        raise failed
    say(f"{failed.message}; these are the last lines of {' and '.join(str(path) for path, _ in found)}")
    kept = [entry for path, read in found for entry in _chosen(read(_tail(path)), choice)]
    write_data("".join(f"{line(entry)}\n" for entry in kept))
    return ExitCode.FAILED


def _tail(path: Path) -> list[str]:
    """The last lines of a file.

    Raises:
        CommandFailed: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            content = file.read()
    except OSError as error:
        raise CommandFailed(ExitCode.FAILED, f"{path} cannot be read: {error.strerror or error}") from None
    lines = content.decode("utf-8", "replace").splitlines()
    return lines[1:] if size > _TAIL_BYTES else lines


def _of_engine(lines: list[str]) -> list[LogEntry]:
    levels = LineLevels()
    return [
        LogEntry(time=0.0, source="engine", level=levels.of(text), text=without_level(text))
        for text in lines
        if text.strip()
    ]


def _of_host(lines: list[str]) -> list[LogEntry]:
    """Lines of `logging`: time, level, logger and text; what is below such a line belongs to it."""
    levels = LineLevels()
    entries: list[LogEntry] = []
    moment = 0.0
    for text in lines:
        stamp, rest = text[:19], text[24:]
        try:
            moment = time.mktime(time.strptime(stamp, _STAMP))
        except (ValueError, OverflowError):
            rest = text
        if rest.strip():
            level = levels.of(rest)
            entries.append(LogEntry(time=moment, source="host", level=level, text=without_level(rest)))
    return entries


_FILES: dict[str, Callable[[list[str]], list[LogEntry]]] = {"engine.log": _of_engine, "host.log": _of_host}

"""`anyclaude-tui events`: the host's event stream on stdout, one line per event, with reconnects."""

from __future__ import annotations

import asyncio
import json
import os
import select
import stat
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from fnmatch import fnmatchcase
from typing import Any

from proxy.events.types import Event, HostState
from proxy.supervision.task_end import end_tasks
from tui.client.event_stream import PAUSES_S, Arrival, Break, EventFollower
from tui.client.host_client import HostClient
from tui.client.wire_text import line_text
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.output import discard_unwritable_stdout


def run_events(
    invocation: Invocation, *, as_json: bool, since: int, only_new: bool, types: Sequence[str]
) -> int:
    """Follow the stream until ctrl+c, or until the reader closes stdout; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError, tui.commands.exit_codes.CommandFailed: see `Invocation`; no
        host answers.
    """
    settled = invocation.settle()
    client = HostClient(invocation.base_url(settled), settled.config.token)
    line = _as_json if as_json else _as_text

    async def print_all() -> None:
        async with aclosing(follow(client, since=since, only_new=only_new)) as events:
            async for raw, event in events:
                if wanted(event.type, types):
                    sys.stdout.write(line(raw, event) + "\n")
                    sys.stdout.flush()

    try:
        asyncio.run(until_reader_closes(print_all, client))
    except BrokenPipeError:
        pass
    finally:
        discard_unwritable_stdout()
    return 0


async def follow(
    client: HostClient, *, since: int = 0, only_new: bool = False, pauses_s: Sequence[float] = PAUSES_S
) -> AsyncGenerator[tuple[bytes, Event]]:
    """Each event as bytes and as an object, from `since` on, without end.

    After a lost connection it continues at the same event; a new host is read from its first event.

    Raises:
        CommandFailed: the host does not answer or refuses; raised on the first attempt only.
    """
    follower = EventFollower(client, pauses_s=pauses_s)
    host: HostState | None = None
    async with aclosing(follower.follow()) as items:
        async for item in items:
            match item:
                case HostState():
                    if host is None:
                        follower.seq = item.seq if only_new else since
                    host = item
                case Arrival(raw, Event() as event):
                    yield raw, event
                case Arrival():
                    say(f"{client.url} sent invalid data; it is skipped")
                case Break(reason) if host is None:
                    raise CommandFailed(ExitCode.USAGE, f"no host to follow: {_at(client, reason)}")
                case Break(reason, 1):
                    say(f"{_at(client, reason)}; trying again until ctrl+c")


def _at(client: HostClient, reason: str) -> str:
    return reason if client.url in reason else f"{client.url}: {reason}"


def wanted(type_: str, patterns: Sequence[str]) -> bool:
    """Whether an event type matches a pattern such as `request.*`; without patterns, each type matches."""
    return not patterns or any(fnmatchcase(type_, pattern) for pattern in patterns)


def _as_json(raw: bytes, event: Event) -> str:
    # Unchanged, one line, unless it came in several `data` fields.
    return raw.decode("utf-8", "replace") if b"\n" not in raw else event.model_dump_json()


def _as_text(raw: bytes, event: Event) -> str:
    """A line for people: time, type, request, and the fields with a value."""
    try:
        moment = time.strftime("%H:%M:%S", time.localtime(event.time))
    except (OverflowError, ValueError, OSError):
        moment = "--:--:--"
    fields = [
        f"{name}={json.dumps(value, ensure_ascii=False)}"
        for name, value in event.data.items()
        if value not in ("", None, [], {}) and name != "seq"
    ]
    start = f"{moment} {event.type} {event.request or '-'}"
    return line_text(" ".join([start, *fields]), limit=400)


async def until_reader_closes(work: Callable[[], Coroutine[Any, Any, None]], client: HostClient) -> None:
    """Do the work until it is done, or until the reader of stdout has left; then close the client."""
    loop = asyncio.get_running_loop()
    left = asyncio.Event()
    _watch_reader(sys.stdout.fileno(), lambda: loop.call_soon_threadsafe(left.set))
    working, leaving = asyncio.create_task(work()), asyncio.create_task(left.wait())
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            await working
    finally:
        await end_tasks(working, leaving)
        await client.close()


def _watch_reader(fd: int, left: Callable[[], object]) -> None:
    """Call `left` when the reader closes the pipe, also while nothing is written."""
    mode = os.fstat(fd).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return
    poll = select.poll()
    poll.register(fd, 0)  # errors and hang-ups are always reported

    def wait() -> None:
        poll.poll()
        try:
            left()
        except RuntimeError:
            pass  # the loop has ended

    threading.Thread(target=wait, name="stdout-reader", daemon=True).start()

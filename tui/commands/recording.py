"""`anyclaude-tui record` and `bundle`: what a running host says, in a file, without secrets."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from proxy.configuration.file import expand_home
from proxy.configuration.settled import HostConfig
from proxy.configuration.settling import Settled
from proxy.recordings.format import SUFFIX, Contents
from proxy.recordings.writing import RecordingFull, RecordingWriter, new_private_file
from tui.client.figures import plural, seconds, size
from tui.client.host_client import HostClient, HostError
from tui.client.recording.bundle import MINUTES, BundleFacts, MadeBundle, bundle_path, make_bundle
from tui.client.recording.taking import RecordingTaker, RecordingWish, Taken
from tui.commands.config_show import setting_records
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.output import write_data
from tui.commands.running_host import find_host

FOLDER = "recordings"  # below the home folder


def run_record(
    invocation: Invocation,
    file: str,
    *,
    minutes: float | None,
    only_new: bool,
    contents: Contents,
    traces: Sequence[str],
    as_json: bool,
) -> int:
    """Record a running host until ctrl+c, or for so many minutes; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError: the configuration is wrong.
        CommandFailed: no host runs, it does not answer, or the file cannot be written.
    """
    host = find_host(invocation)
    wish = RecordingWish(contents, 0.0 if only_new else None, traces, secrets=_secrets(host.config))
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}{SUFFIX}"
    path = expand_home(file, Path.home()) if file else host.config.home / FOLDER / name
    try:
        sink = new_private_file(path)
    except FileExistsError:
        raise CommandFailed(ExitCode.USAGE, f"{path} is there already; it is kept: name another") from None
    began = time.monotonic()
    with sink:
        writer = RecordingWriter(sink, version=version("anyclaude-tui"), made=time.time(), contents=contents)
        try:
            taken, why = asyncio.run(_record(host.url, host.config.token, writer, wish, minutes))
            writer.close()
        except HostError as error:
            path.unlink(missing_ok=True)
            raise CommandFailed(ExitCode.FAILED, f"{error}; nothing was recorded") from None
        except OSError as error:
            raise CommandFailed(
                ExitCode.FAILED,
                f"{path}: {error.strerror}; what was written until then is kept and can be played",
            ) from None
    took = time.monotonic() - began
    for what in taken.left_out:
        say(f"left out: {what}")
    if as_json:
        record = {"file": str(path), "events": writer.events, "bytes": path.stat().st_size, "ended": why}
        write_data(json.dumps(record | {"seconds": round(took, 1), "left_out": taken.left_out}) + "\n")
    else:
        say(f"{why}: {plural(writer.events, 'event')} in {seconds(took)}, {size(path.stat().st_size)}")
        say(f"to look at it: anyclaude-tui --play {path}")
        write_data(f"{path}\n")
    return ExitCode.FINE


async def _record(
    url: str, token: str, writer: RecordingWriter, wish: RecordingWish, minutes: float | None
) -> tuple[Taken, str]:
    """Record until something ends it; returns what was taken, and what ended it."""
    client = HostClient(url, token)
    taker = RecordingTaker(client, writer, wish)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        await taker.take_held()
        until = "ctrl+c ends it" if minutes is None else f"for {minutes:g} minutes, or until ctrl+c"
        say(f"recording {client.url} ({plural(writer.events, 'event')} from before); {until}")
        why = await _until(stopped, taker, writer, None if minutes is None else minutes * 60)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)  # a second ctrl+c does not wait for traces
        with suppress(RecordingFull):
            await taker.finish()
        return taker.taken, why
    except RecordingFull as error:
        return taker.taken, str(error)
    finally:
        await client.close()


async def _until(
    stopped: asyncio.Event, taker: RecordingTaker, writer: RecordingWriter, time_s: float | None
) -> str:
    """Take what comes until someone stops it, the time is over, or it is full; returns which."""
    working = asyncio.create_task(taker.take_on())
    waiting = asyncio.create_task(stopped.wait())
    showing = asyncio.create_task(_show_progress(writer))
    tasks = (working, waiting, showing)
    try:
        done, _ = await asyncio.wait((working, waiting), timeout=time_s, return_when=asyncio.FIRST_COMPLETED)
        if working in done:
            try:
                working.result()
            except RecordingFull as error:
                return f"ended, as {error}"
        return "ended by you" if waiting in done else "ended as its time was over"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _show_progress(writer: RecordingWriter) -> None:
    """One line that counts, where a person looks at it."""
    if not sys.stderr.isatty():
        return
    began = time.monotonic()
    try:
        while True:
            await asyncio.sleep(1.0)
            took = seconds(time.monotonic() - began)
            line = f"{plural(writer.events, 'event')}, {size(writer.bytes)} unpacked, {took}"
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
    finally:
        sys.stderr.write("\r\x1b[K")


def run_bundle(
    invocation: Invocation,
    file: str,
    *,
    minutes: float,
    contents: Contents,
    traces: Sequence[str],
    as_json: bool,
) -> int:
    """Make a bug bundle of a running host, or of what is on disk where none runs; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError: the configuration is wrong.
        CommandFailed: it cannot be written.
    """
    settled = invocation.settle()
    facts = bundle_facts(settled)
    now = time.time()
    path = expand_home(file, Path.home()) if file else bundle_path(facts.home, now)
    wish = RecordingWish(contents, minutes, traces, secrets=facts.secrets)
    url = ""
    try:
        url = find_host(invocation, settled).url
    except CommandFailed as failed:
        say(f"{failed.message}: the bundle has what is on this disk, and no recording")
    try:
        made = asyncio.run(_bundle(url, settled.config.token, facts, wish, path, now))
    except FileExistsError:
        raise CommandFailed(ExitCode.USAGE, f"{path} is there already; it is kept: name another") from None
    _report(made, as_json)
    return ExitCode.FINE


async def _bundle(
    url: str, token: str, facts: BundleFacts, wish: RecordingWish, path: Path, now: float
) -> MadeBundle:
    client = HostClient(url, token) if url else None
    try:
        return await make_bundle(client, facts, wish, path, now)
    finally:
        if client is not None:
            await client.close()


async def bundle_for_screen(
    settled: Settled, client: HostClient | None, contents: Contents, traces: Sequence[str]
) -> MadeBundle:
    """A bundle of the host that a screen is connected to, or without one. Raises OSError."""
    facts, now = bundle_facts(settled), time.time()
    wish = RecordingWish(contents, MINUTES, traces, secrets=facts.secrets)
    return await make_bundle(client, facts, wish, bundle_path(facts.home, now), now)


def bundle_facts(settled: Settled) -> BundleFacts:
    """What a bundle is told of this machine's configuration."""
    return BundleFacts(settled.config.home, setting_records(settled), _secrets(settled.config))


def _secrets(config: HostConfig) -> tuple[str, ...]:
    return (config.token, config.backend_key)


def _report(made: MadeBundle, as_json: bool) -> None:
    if as_json:
        record: dict[str, Any] = {"file": str(made.path), "bytes": made.bytes}
        write_data(json.dumps(record | {"parts": list(made.parts), "left_out": list(made.left_out)}) + "\n")
        return
    for part in made.parts:
        say(f"  {part}")
    for what in made.left_out:
        say(f"left out: {what}")
    say(f"{size(made.bytes)}; it is on this machine alone: look into it before you pass it on")
    write_data(f"{made.path}\n")

"""`anyclaude-tui stop`: ends a running host after its requests, or now; never another program."""

from __future__ import annotations

import asyncio
import os
import time

import psutil

from proxy.events.types import HostState
from proxy.host_record import HostRecord
from tui.client.figures import plural
from tui.client.host_client import HostClient, HostError
from tui.commands.doctor.other_hosts import host_command
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.running_host import RunningHost, find_host

END_S = 30.0  # more than a host takes that ends itself: engine, traces, open answers
_PAUSE_S = 0.1


def run_stop(invocation: Invocation, *, now: bool = False) -> int:
    """End the running host and return when it is gone; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError: the configuration is wrong.
        CommandFailed: no host runs (exit code 1), or it does not end.
    """
    host = find_host(invocation)
    try:
        return asyncio.run(_stop(host, now))
    except KeyboardInterrupt:
        say("the host still ends after the requests that run; to end it at once: anyclaude-tui stop --now")
        raise


async def _stop(host: RunningHost, now: bool) -> int:
    client = HostClient(host.url, host.config.token)
    try:
        try:
            state = await client.state()
        except HostError as error:
            return _without_an_answer(host, error, now)
        try:
            await client.stop(now=now)
        except HostError as error:
            raise CommandFailed(
                ExitCode.FAILED,
                f"the host on {host.url} cannot be asked to end ({error}); end it with: kill {state.pid}",
            ) from None
        await _until_gone(client, host, state, now)
    finally:
        await client.close()
    say(f"the host on {host.url} (pid {state.pid}) has ended; its traces and its cache are kept")
    return ExitCode.FINE


async def _until_gone(client: HostClient, host: RunningHost, state: HostState, now: bool) -> None:
    """Wait for the host's end, however long its requests take, and print how many are left."""
    here = _process(state.pid) if host.is_here else None
    said = -1
    ends_by = time.monotonic() + END_S
    while True:
        try:
            asked = await client.state()
        except HostError:
            asked = None  # it does not listen any more
        if (asked is None or asked.pid != state.pid) and (here is None or not _runs(here)):
            return
        running = asked.counters.running if asked is not None and not now else 0
        if running > 0:
            ends_by = time.monotonic() + END_S
        if running != said and running > 0:
            say(f"waiting for {plural(running, 'request')}; new ones are refused (--now does not wait)")
        said = running
        if time.monotonic() > ends_by:
            raise CommandFailed(
                ExitCode.FAILED,
                f"the host has not ended within {END_S:.0f} s; end it with: kill -9 {state.pid}",
            )
        await asyncio.sleep(_PAUSE_S)


def _without_an_answer(host: RunningHost, error: HostError, now: bool) -> int:
    record = host.record
    if record is None or "token" in str(error):
        raise CommandFailed(ExitCode.FAILED, str(error))
    if not now:
        raise CommandFailed(
            ExitCode.FAILED,
            f"the host on {host.url} (pid {record.pid}) does not answer; to end it: anyclaude-tui stop --now",
        )
    process = _host_process(record)
    for send, said in ((process.terminate, "SIGTERM"), (process.kill, "SIGKILL")):
        say(f"the host does not answer; ending pid {record.pid} with {said}")
        send()
        ends_by = time.monotonic() + END_S
        while _runs(process) and time.monotonic() < ends_by:
            time.sleep(_PAUSE_S)
        if not _runs(process):
            say(f"pid {record.pid} has ended; its traces and its cache are kept")
            return ExitCode.FINE
    raise CommandFailed(ExitCode.FAILED, f"pid {record.pid} does not end, not even on SIGKILL")


def _host_process(record: HostRecord) -> psutil.Process:
    """The process of a record, once it is sure that it is a host of this user.

    Raises:
        CommandFailed: it is another program, or has just ended.
    """
    try:
        process = psutil.Process(record.pid)
        if record.runs and process.uids().effective == os.geteuid() and host_command(process.cmdline()):
            return process
    except psutil.Error:
        pass
    raise CommandFailed(
        ExitCode.FAILED, f"pid {record.pid} is no host of yours (any more), so it was not ended"
    )


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False

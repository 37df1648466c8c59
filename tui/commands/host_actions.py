"""`anyclaude-tui cancel` and `restart`: one request of a running host is ended, or its engine restarted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tui.client.figures import plural
from tui.client.host_client import BadId, HostClient, HostError
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.output import write_data
from tui.commands.running_host import find_host

_T = TypeVar("_T")


def run_cancel(invocation: Invocation, request_id: str, *, json_wanted: bool = False) -> int:
    """End the running request whose id begins so; returns the exit code, 1 if none or several do.

    Raises:
        proxy.configuration.settled.ConfigError: the configuration is wrong.
        CommandFailed: no host runs, or it cancels nothing.
    """
    try:
        cancelled = ask_host(invocation, lambda client: client.cancel(request_id))
    except CommandFailed as failed:
        return refused(failed, json_wanted, cancelled=None)
    if json_wanted:
        write_data(json.dumps({"cancelled": cancelled}) + "\n")
    else:
        say(
            f"{cancelled} is cancelled: its client is told and does not repeat it; what was computed stays in"
            " the prefix cache"
        )
    return ExitCode.FINE


def run_restart(invocation: Invocation, *, drain: bool = False, json_wanted: bool = False) -> int:
    """Restart the engine of the running host, with `drain` after its requests; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError: the configuration is wrong.
        CommandFailed: no host runs, or it runs no engine.
    """
    try:
        running = ask_host(invocation, lambda client: client.restart_engine(drain=drain))
    except CommandFailed as failed:
        return refused(failed, json_wanted, restarting=False)
    if json_wanted:
        write_data(json.dumps({"restarting": True, "running": running}) + "\n")
    elif running:
        say(f"the engine restarts after {plural(running, 'request')}; new ones are told to retry meanwhile")
    else:
        say("the engine is being restarted")
    return ExitCode.FINE


def ask_host(invocation: Invocation, question: Callable[[HostClient], Awaitable[_T]]) -> _T:
    """What the running host answers.

    Raises:
        proxy.configuration.settled.ConfigError: the configuration is wrong.
        CommandFailed: no host runs, or it refuses, or no id can be as the given one.
    """
    host = find_host(invocation)

    async def asked() -> _T:
        client = HostClient(host.url, host.config.token)
        try:
            return await question(client)
        except HostError as error:
            code = ExitCode.USAGE if isinstance(error, BadId) else ExitCode.FAILED
            raise CommandFailed(code, str(error)) from None
        finally:
            await client.close()

    return asyncio.run(asked())


def refused(failed: CommandFailed, json_wanted: bool, **answer: object) -> int:
    """The exit code of a refusal, which is data where JSON is wanted; raises it where it is not."""
    if not json_wanted or failed.exit_code != ExitCode.FAILED:
        raise failed
    write_data(json.dumps(answer | {"reason": failed.message}) + "\n")
    return ExitCode.FAILED

"""`anyclaude-tui cache pin`, `unpin`, `drop` and `flush`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tui.client.holdings.text import done_text
from tui.client.host_client import HostClient
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.host_actions import ask_host, refused
from tui.commands.invocation import Invocation, say
from tui.commands.output import write_data

if TYPE_CHECKING:
    from proxy.events.cache_facts import CacheDone


def run_cache_change(invocation: Invocation, action: str, entry: str, *, json_wanted: bool = False) -> int:
    """`pin`, `unpin` or `drop` an entry; returns the exit code, 1 if it is not there or refused.

    Raises:
        proxy.configuration.settled.ConfigError: the configuration is wrong.
        CommandFailed: no host runs, or it refuses.
    """
    return _change(
        invocation, action, lambda client: client.change_cache_entry(action, entry), json_wanted=json_wanted
    )


def run_cache_flush(invocation: Invocation, tier: str, *, json_wanted: bool = False) -> int:
    """Flush `memory`, `disk` or `both`; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError: the configuration is wrong.
        CommandFailed: no host runs, or it refuses.
    """
    return _change(invocation, "flush", lambda client: client.flush_cache(tier), json_wanted=json_wanted)


def _change(
    invocation: Invocation,
    action: str,
    change: Callable[[HostClient], Awaitable[CacheDone]],
    *,
    json_wanted: bool,
) -> int:
    try:
        done = ask_host(invocation, change)
    except CommandFailed as failed:
        return refused(failed, json_wanted, id=None)
    if json_wanted:
        write_data(done.model_dump_json() + "\n")
    else:
        say(done_text(action, done))
    return ExitCode.FINE

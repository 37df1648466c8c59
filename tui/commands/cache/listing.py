"""`anyclaude-tui cache list`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tui.client.figures import clock, count, plural, seconds, size
from tui.client.holdings.text import entry_name, entry_place, entry_users, eviction_words, tree_marks, who
from tui.client.host_client import HostClient
from tui.client.wire_text import width
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.host_actions import ask_host, refused
from tui.commands.invocation import Invocation, say
from tui.commands.output import write_data

if TYPE_CHECKING:
    from proxy.events.cache_facts import CacheHoldings

_HEAD = ("ID", "SHARED PREFIX, SESSION", "TOKENS", "MEMORY", "DISK", "WHERE", "USED BY", "LAST", "REUSED", "")
_LEFT = frozenset({0, 1, 5, 6, 9})  # columns of text
_LEAST_ID = 4
_ROWS = 10  # evictions, and prompts that wanted something again


def run_cache_list(invocation: Invocation, *, json_wanted: bool = False) -> int:
    """Print what the prefix cache holds; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError: the configuration is wrong.
        CommandFailed: no host runs, or it has no prefix cache of its own.
    """
    try:
        held = ask_host(invocation, HostClient.cache)
    except CommandFailed as failed:
        return refused(failed, json_wanted, entries=None)
    if json_wanted:
        write_data(held.model_dump_json() + "\n")
        return ExitCode.FINE
    write_data("".join(f"{line}\n" for line in report(held, time.time())))
    if held.entries:
        say("keep an entry: anyclaude-tui cache pin ID; remove it: anyclaude-tui cache drop ID")
    else:
        say("the prefix cache is empty: the first prompt fills it")
    return ExitCode.FINE


def report(held: CacheHoldings, now: float) -> Iterator[str]:
    """The entries, the last evictions, and what of them was wanted again; `now` in epoch seconds."""
    disk = size(held.disk_bytes) + f" of {size(held.disk_budget_bytes)}" if held.disk_budget_bytes else "off"
    yield (
        f"memory {size(held.memory_bytes)} of {size(held.budget_bytes)}, disk {disk};"
        f" pinned {size(held.pinned_bytes)} of at most {size(held.pin_limit_bytes)}"
    )
    if held.entries:
        yield ""
        yield from _table(held, now)
    if held.evictions:
        yield ""
        yield f"Evicted last ({plural(len(held.evictions), 'eviction')} remembered)"
        for gone in held.evictions[:_ROWS]:
            whose = who(gone.owner.session, gone.owner.lane) or "nobody known"
            what = plural(gone.tokens, "token") if gone.tokens else "a checkpoint"
            yield f"  {clock(gone.at)}  {what} of {whose}, {eviction_words(gone)}"
    if held.wanted:
        yield ""
        lost = sum(one.tokens for one in held.wanted)
        yield f"Evicted, then wanted ({plural(len(held.wanted), 'prompt')}, {count(lost)} tokens)"
        for one in held.wanted[:_ROWS]:
            cause = ""
            if one.eviction is not None:
                cause = f", evicted {clock(one.eviction.at)} {eviction_words(one.eviction)}"
            wanting = who(one.user.session, one.user.lane)
            yield f"  {clock(one.at)}  {wanting}: {plural(one.tokens, 'token')}{cause}"


def _table(held: CacheHoldings, now: float) -> Iterator[str]:
    cells = _id_cells([entry.id for entry in held.entries])
    rows: list[Sequence[str]] = [_HEAD]
    for entry, mark in zip(held.entries, tree_marks(held.entries), strict=True):
        pinned = "pinned" if entry.pinned_tokens >= entry.tokens else "pinned in part"
        rows.append(
            (
                entry.id[:cells],
                mark + entry_name(entry),
                count(entry.tokens) if not entry.depth else f"+{count(entry.tokens)}",
                size(entry.memory_bytes) if entry.memory_bytes else "-",
                size(entry.disk_bytes) if entry.disk_bytes else "-",
                entry_place(entry),
                entry_users(entry),
                seconds(max(0.0, now - entry.used)) if entry.used else "-",
                f"×{entry.reused:,}" if entry.reused else "-",
                pinned if entry.pinned_tokens else "",
            )
        )
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        shown = (
            text + " " * (cell - width(text)) if number in _LEFT else " " * (cell - width(text)) + text
            for number, (text, cell) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(shown).rstrip()


def _id_cells(ids: Sequence[str]) -> int:
    """How many characters of the ids tell them apart."""
    cells = _LEAST_ID
    while cells < 16 and len({one[:cells] for one in ids}) < len(ids):
        cells += 1
    return cells

"""The command line of `anyclaude-tui cache`; imports nothing heavy, so that help comes at once."""

from __future__ import annotations

from typing import Annotated

import typer

from tui.commands.arguments import argument
from tui.commands.invocation import Invocation
from tui.commands.options import on_host

cache = typer.Typer(
    help="""The prefix cache of the running host: who holds what, pin, drop, flush.

A prompt that begins as an earlier one did restores what was computed for it, instead of computing it again.
An entry is a beginning that several sessions share, or what one session holds behind it.

\b
Examples
  anyclaude-tui cache list                  the entries as a tree, evictions, what was wanted again
  anyclaude-tui cache pin 3f2a              keep an entry, whatever comes
  anyclaude-tui cache drop 3f2a             remove it from memory and disk
  anyclaude-tui cache flush --memory        all but what is pinned; the disk stays
""",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="As one JSON object.")]
Entry = Annotated[str, argument("ID", "The entry's id from the list, or how it begins.")]

LIST_HELP = """List what the cache holds: shared prefixes, and below them what each session holds.

TOKENS are those of the entry alone. WHERE: in memory, on disk; ½: a part of it. REUSED: prompts that it
spared a prefill since the engine started. Below: what was evicted last and for whom, and the prompts that
wanted it again.

\b
Examples
  anyclaude-tui cache list
  anyclaude-tui cache list --json | jq '.wanted[] | [.tokens, .eviction.by.session]'

Exit code 1 if no host runs, or its backend caches by itself.
"""


@cache.command("list", help=LIST_HELP)
@on_host
def cache_list(
    invocation: Invocation,
    as_json: Json = False,
) -> None:
    from tui.commands.cache.listing import run_cache_list

    raise typer.Exit(run_cache_list(invocation, json_wanted=as_json))


PIN_HELP = """Keep an entry from eviction: what it holds now, in memory and on disk, until you unpin it.

What its session adds later is not pinned; pin it again for that. Pins take at most half of what the cache may
take; one that would not fit is refused, with the figures. They hold after a restart of the engine.

\b
Examples
  anyclaude-tui cache pin 3f2a
  anyclaude-tui cache unpin 3f2a

Exit code 1 if no such entry is there, several begin so, or it does not fit.
"""


@cache.command("pin", help=PIN_HELP)
@on_host
def cache_pin(
    invocation: Invocation,
    entry: Entry,
    as_json: Json = False,
) -> None:
    from tui.commands.cache.changing import run_cache_change

    raise typer.Exit(run_cache_change(invocation, "pin", entry, json_wanted=as_json))


UNPIN_HELP = """Let an entry be evicted again when the room is needed. Nothing is removed now.

\b
Examples
  anyclaude-tui cache unpin 3f2a
  anyclaude-tui cache list                  shows what is pinned

Exit code 1 if no such entry is there, or it is not pinned.
"""


@cache.command("unpin", help=UNPIN_HELP)
@on_host
def cache_unpin(
    invocation: Invocation,
    entry: Entry,
    as_json: Json = False,
) -> None:
    from tui.commands.cache.changing import run_cache_change

    raise typer.Exit(run_cache_change(invocation, "unpin", entry, json_wanted=as_json))


DROP_HELP = """Remove an entry, and what goes on from it, from memory and from disk.

Its next prompt is computed from there on. Answers do not change, and a request that runs stores what it holds
again at its end. What is pinned is not dropped: unpin it first.

\b
Examples
  anyclaude-tui cache drop 3f2a
  anyclaude-tui cache drop 3f2a --json | jq .disk_bytes

Exit code 1 if no such entry is there, or some of it is pinned.
"""


@cache.command("drop", help=DROP_HELP)
@on_host
def cache_drop(
    invocation: Invocation,
    entry: Entry,
    as_json: Json = False,
) -> None:
    from tui.commands.cache.changing import run_cache_change

    raise typer.Exit(run_cache_change(invocation, "drop", entry, json_wanted=as_json))


FLUSH_HELP = """Remove everything but what is pinned: from memory and disk, or with an option from one.

What is on disk comes back from there after --memory. After --disk what is in memory stays, and is written
again with the next prompts that use it. Without both options the next prompt of each session is computed.

\b
Examples
  anyclaude-tui cache flush --memory
  anyclaude-tui cache flush                 both

Exit code 1 if no host runs, or its backend caches by itself.
"""


@cache.command("flush", help=FLUSH_HELP)
@on_host
def cache_flush(
    invocation: Invocation,
    memory: Annotated[bool, typer.Option("--memory", help="Only from memory.")] = False,
    disk: Annotated[bool, typer.Option("--disk", help="Only from disk.")] = False,
    as_json: Json = False,
) -> None:
    from tui.commands.cache.changing import run_cache_flush

    tier = "both" if memory == disk else "memory" if memory else "disk"
    raise typer.Exit(run_cache_flush(invocation, tier, json_wanted=as_json))

"""The command line of `anyclaude-tui verify`; imports nothing heavy, so that help comes at once."""

from __future__ import annotations

from typing import Annotated

import typer

from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation
from tui.commands.options import on_host

verify = typer.Typer(
    help="""Checks on this machine and its model; exit code 1 where one fails.

Each line on stdout has its evidence and what to do; progress is on stderr. A check asks the host that runs;
where there is none, it starts one on free ports and stops it afterwards.

\b
Examples
  anyclaude-tui verify cache              does a second request reuse the first one's work?
  anyclaude-tui verify cache --restart    also from disk, on a host that runs
  anyclaude-tui verify cache --exact      are cached answers the same to the last bit?
  anyclaude-tui verify tools              does a tool call make the whole way?
  anyclaude-tui verify session            the real Claude Code, three times
""",
    no_args_is_help=True,
)

BesideHost = Annotated[
    bool,
    typer.Option("--beside-host", help="Also beside a host, whose model may leave no memory for another."),
]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


@verify.command("cache")
@on_host
def verify_cache(
    invocation: Invocation,
    exact: Annotated[
        bool, typer.Option("--exact", help="Compare tokens and logits, with and without the cache.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Restart the engine of a running host, to read from disk.")
    ] = False,
    conversations: Annotated[
        int, typer.Option(metavar="N", min=1, help="Conversations to compare, with --exact.")
    ] = 4,
    head_tokens: Annotated[
        int, typer.Option("--head", metavar="TOKENS", min=1, help="Length of what requests share.")
    ] = 2000,
    beside_host: BesideHost = False,
    as_json: Json = False,
) -> None:
    """Is what one request computed reused by the next, and is the answer the same?

    Sends a system prompt that was just made up twice, and a control of the same length: the first fills the
    cache, the second reads from it and starts sooner, the control does neither. Then the engine is restarted
    and reads it from disk; on a host that runs only with --restart. Works with every backend, and says what
    it cannot tell.

    With --exact the model runs by itself, without a host: made-up conversations are answered without the
    cache, from memory, from disk and in a batch, and what differs is printed.
    """
    if exact:
        if as_json or restart or invocation.attach:
            raise CommandFailed(
                ExitCode.USAGE, "--exact runs the model by itself: leave --attach, --restart and --json out"
            )
        from tui.commands.verify.exact import run_verify_exact

        code = run_verify_exact(
            invocation, conversations=conversations, head_tokens=head_tokens, beside_host=beside_host
        )
    else:
        from tui.commands.verify.caching import run_verify_cache

        code = run_verify_cache(
            invocation, head_tokens=head_tokens, restart=restart, beside_host=beside_host, as_json=as_json
        )
    raise typer.Exit(code)


@verify.command("tools")
@on_host
def verify_tools(
    invocation: Invocation,
    all_families: Annotated[
        bool, typer.Option("--all-families", help="Also the reader and grammar of every tool-call family.")
    ] = False,
    beside_host: BesideHost = False,
    as_json: Json = False,
) -> None:
    """Does a tool call make the whole way, from its definition to the answer?

    Offers three tools and asks for a file: the rendered prompt must have each tool's name, a call must come
    back and fit its schema. The result has a number that was just drawn, and the answer must have it.
    Nothing is read or run.
    """
    from tui.commands.verify.tool_use import run_verify_tools

    code = run_verify_tools(
        invocation,
        all_families=all_families,
        beside_host=beside_host,
        as_json=as_json,
    )
    raise typer.Exit(code)


@verify.command("session")
@on_host
def verify_session(
    invocation: Invocation,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the traces of this check.")] = False,
    claude_path: Annotated[
        str, typer.Option(metavar="FILE", help="The claude program.  [ANYCLAUDE_CLAUDE, else as installed]")
    ] = "",
    beside_host: BesideHost = False,
    as_json: Json = False,
) -> None:
    """The real test: does Claude Code work on this model, and does the cache work for it?

    Asks "Who are you?", "Tell me a joke" and "What is 2+2?" in three new sessions of Claude Code, then reads
    their traces: hit rates, tools, errors, bodies, latencies, streaming, and what that means in words. Takes
    at most five minutes once the model is loaded. The client works in an empty folder with settings of its
    own; your files, settings and sessions are not touched. Your login is not there either: with the claude
    backend set CLAUDE_CODE_OAUTH_TOKEN or ANTHROPIC_API_KEY. The traces are removed if all holds, unless
    --keep; older ones never are. docs/real-test-guide.md explains each line.
    """
    from tui.commands.verify.session import run_verify_session

    code = run_verify_session(
        invocation,
        claude_path=claude_path,
        keep=keep,
        beside_host=beside_host,
        as_json=as_json,
    )
    raise typer.Exit(code)

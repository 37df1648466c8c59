"""The group of commands, and the options that several of them have."""

from __future__ import annotations

from typing import Annotated

import typer

from tui.commands.arguments import argument
from tui.commands.completion import trace_ids

traces = typer.Typer(
    help="""The record of each request, as stored on disk.

\b
Examples
  anyclaude-tui traces list --errors           what went wrong
  anyclaude-tui traces show req_3f             one request; the beginning of its id is enough
  anyclaude-tui traces why req_3f              why it was slow, and what to do
  anyclaude-tui traces diff req_3f req_41      where two prompts part, and what it cost
  anyclaude-tui traces context 9f3c            what fills a session's window, and what is left
  anyclaude-tui traces replay req_3f           ask it again; both answers side by side
  anyclaude-tui traces export --format html    a page to look at, or to hand on with --redact
  anyclaude-tui traces grep "parse error"      in prompts, results and answers
  anyclaude-tui traces prune --older 14d       what that would remove; --yes removes it
  anyclaude-tui traces analyze --since 7d      hit rates, speeds, misses and tools of a week
""",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Each as one line of JSON.")]
TraceId = Annotated[
    str,
    argument("ID", "Its id, how it begins, or its file.", path=True, autocompletion=trace_ids),
]
Session = Annotated[
    str, typer.Option("--session", metavar="ID", help="Only this session, or those that begin so.")
]
Own = Annotated[bool, typer.Option("--own", help="Also the requests of verify, doctor and traces replay.")]
Since = Annotated[
    str, typer.Option("--since", metavar="WHEN", help="Only from then on: 90m, 12h, 7d, 2w, or a date.")
]

"""`anyclaude-tui traces replay`: a stored request, asked again."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import zip_longest
from typing import Any

from proxy.configuration.settling import Settled
from proxy.traces.files import TRACES_FOLDER
from proxy.traces.request_replay import (
    NoReplay,
    ReplayedAnswer,
    compared,
    new_answer,
    redacted_places,
    replay_body,
    stored_answer,
)
from proxy.traces.schema import Trace
from tui.client.asking import ask_whole
from tui.client.figures import plural, seconds
from tui.client.host_client import HostClient, HostError
from tui.client.wire_text import block_text, line_text, shorten, width, wrap
from tui.commands.claude_session import joined_or_started, until_ready
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.model_memory import check_memory, memory_now
from tui.commands.output import write_data
from tui.commands.traces.places import open_trace

_GAP = " │ "


def run_traces_replay(
    invocation: Invocation, wanted: str, *, backend: str, model: str, beside_host: bool, as_json: bool
) -> int:
    """Ask a stored request again and print both answers; returns the exit code, `FAILED` where it is refused.

    Raises:
        proxy.configuration.settled.ConfigError, tui.client.host_process.HostFailed, CommandFailed: no such
        trace, or no server to ask.
    """
    own = {"backend_name": backend or None, "model": model or None}
    chosen = replace(
        invocation, options={**invocation.options, **{name: value for name, value in own.items() if value}}
    )
    settled = chosen.settle()
    trace = open_trace(settled.config.home / TRACES_FOLDER, wanted)
    try:
        body = replay_body(trace)
    except NoReplay as error:
        raise CommandFailed(ExitCode.USAGE, str(error)) from None
    if places := redacted_places(body):
        say(f"{plural(places, 'secret')} of the request {'is' if places == 1 else 'are'} [redacted] in it")
    if backend or model:  # not the host that runs, which has its own
        if settled.config.backend == "mlx" and not beside_host:
            check_memory(settled, memory_now())
        chosen = replace(chosen, options={**chosen.options, "port": 0}, attach="")
        settled = chosen.settle()
    now = asyncio.run(_asked(chosen, settled, trace, body))
    then = stored_answer(trace)
    if as_json:
        write_data(json.dumps({"then": _as_json(then), "now": _as_json(now)}, indent=2) + "\n")
    else:
        columns = shutil.get_terminal_size((120, 40)).columns
        write_data("".join(f"{line.rstrip()}\n" for line in side_by_side(then, now, columns)))
    return ExitCode.FAILED if now.error else ExitCode.FINE


async def _asked(
    invocation: Invocation, settled: Settled, trace: Trace, body: dict[str, Any]
) -> ReplayedAnswer:
    async with joined_or_started(invocation, settled) as (url, process):
        client = HostClient(url, settled.config.token)
        try:
            state = await until_ready(client, process)
            answer = await ask_whole(client, body, sender="replay", query=trace.request.query)
        except HostError as error:
            raise CommandFailed(ExitCode.ENGINE_FAILED, str(error)) from None
        finally:
            await client.close()
    model = state.model or state.backend
    return new_answer(answer.status, answer.body, model=model, duration_s=answer.took_s)


def side_by_side(then: ReplayedAnswer, now: ReplayedAnswer, columns: int) -> Iterator[str]:
    """Two columns: the answer of then and that of now."""
    cells = max(20, (columns - len(_GAP)) // 2)
    for left, right in zip_longest(_lines("then", then, cells), _lines("now", now, cells), fillvalue=""):
        yield left + " " * (cells - width(left)) + _GAP + right
    yield ""
    yield compared(then, now)[1]


def _lines(name: str, answer: ReplayedAnswer, cells: int) -> Iterator[str]:
    usage = answer.usage
    ttft = f", TTFT {seconds(answer.ttft_s)}" if answer.ttft_s is not None else ""
    for line in (
        f"{name}: {answer.model}",
        f"{answer.status} {answer.stop_reason}".rstrip() + f", {seconds(answer.duration_s)}{ttft}",
        f"{usage.prompt_tokens:,} in ({usage.cache_read_input_tokens:,} restored),"
        f" {usage.output_tokens:,} out",
        answer.error,
    ):
        yield shorten(line_text(line), cells)
    for part in answer.parts:
        for line in block_text(part).split("\n"):
            yield from (piece.rstrip() for piece in wrap(line, cells))


def _as_json(answer: ReplayedAnswer) -> dict[str, Any]:
    return asdict(answer) | {"usage": answer.usage.model_dump()}

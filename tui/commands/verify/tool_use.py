"""`anyclaude-tui verify tools`: does a call make the whole way, from its definition to the answer?"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas
from tui.client.asking import StreamedAnswer, ask
from tui.client.host_client import HostError
from tui.client.wire_text import shorten
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.verify.caching import asked_model, credentials
from tui.commands.verify.claims import Claims
from tui.commands.verify.tool_families import verify_families
from tui.commands.verify.verified_host import HostChoice, VerifiedHost, choose_host, verified_host

SEEN, CALLED = "the model sees the tools", "a call comes back"
FITS, USED = "the call fits its schema", "its result is used in the answer"

# Claude Code's own names: small models know them, and the bundled one sees no others.
TOOLS: tuple[dict[str, Any], ...] = tuple(
    {
        "name": name,
        "description": description,
        "input_schema": {
            "type": "object",
            "properties": {key: {"type": "string", "description": what} for key, what in arguments.items()},
            "required": list(arguments),
        },
    }
    for name, description, arguments in (
        ("Read", "Reads a file and returns its text.", {"file_path": "The path of the file"}),
        (
            "Write",
            "Writes a text to a file.",
            {"file_path": "The path of the file", "content": "The text to write"},
        ),
        ("Bash", "Runs a shell command and returns what it prints.", {"command": "The command"}),
    )
)
SCHEMAS = ToolSchemas([ToolSchema(tool["name"], tool["input_schema"]) for tool in TOOLS])
QUESTION = "Read the file notes.txt"
_ANSWER_TOKENS = 4_096  # thinking included
_SHOWN = 90  # characters of evidence


@dataclass(frozen=True, slots=True)
class PromptSight:
    """The prompt as the model sees it, or why it cannot be shown; `text` may be empty."""

    text: str = ""
    hidden: str = ""


def run_verify_tools(invocation: Invocation, *, all_families: bool, beside_host: bool, as_json: bool) -> int:
    """Ask, judge and print; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError, tui.client.host_process.HostFailed, CommandFailed: there is
        no host to ask.
    """
    choice = choose_host(invocation, beside_host=beside_host)
    claims = Claims("verify tools", say)
    try:
        asyncio.run(_verify(choice, claims))
    except HostError as error:
        raise CommandFailed(ExitCode.ENGINE_FAILED, f"{error}; nothing was verified") from None
    if all_families:
        verify_families(claims, invocation, choice.settled.config.home)
    return claims.write(as_json=as_json)


async def _verify(choice: HostChoice, claims: Claims) -> None:
    async with verified_host(choice) as host:
        headers = credentials(choice, host) if host.backend == "claude" else {}
        body = {
            "model": asked_model(choice, host),
            "max_tokens": _longest(host),
            "system": "You are a coding agent. Use the tools to do what you are asked.",
            "tools": list(TOOLS),
            "messages": [{"role": "user", "content": QUESTION}],
        }
        say(f'asking "{QUESTION}" with {len(TOOLS)} tools')
        first = await ask(host.client, body, headers)
        sight = PromptSight(hidden="the request was refused") if first.error else await _sight(host, first)
        if not judge_call(claims, first, sight):
            return
        secret = f"{secrets.randbelow(9_000) + 1_000}"
        say(f"returning a result that has the number {secret} in it")
        body["messages"] = after_result(first, f"The number of the day is {secret}.")
        judge_result(claims, await ask(host.client, body, headers), secret)


def _longest(host: VerifiedHost) -> int:
    window = host.state.engine.context_tokens
    return min(_ANSWER_TOKENS, window // 2) if window else _ANSWER_TOKENS


async def _sight(host: VerifiedHost, answer: StreamedAnswer) -> PromptSight:
    """The rendered prompt of an answer's request: its engine is given what was sent upstream once more."""
    engine = host.state.engine.url
    if host.backend != "mlx" or not engine:
        return PromptSight(hidden="this server does not show the prompt that it makes; the call decides")
    if not host.is_here:
        return PromptSight(hidden="the engine runs on another machine; the call decides")
    try:
        upstream = (await host.client.trace(answer.request_id)).upstream
    except HostError as error:
        return PromptSight(hidden=f"the request has no trace ({error}); is debug.enableTraces false?")
    if not isinstance(upstream, dict):
        return PromptSight(hidden="the trace does not have what was sent to the engine")
    try:
        # Without the host's token, and past the environment's web proxies.
        async with httpx.AsyncClient(timeout=60.0, verify=False, trust_env=False) as http:
            shown = await http.post(f"{engine.rstrip('/')}/v1/tokenize", json={**upstream, "with_text": True})
            text = shown.raise_for_status().json().get("text")
    except (httpx.HTTPError, ValueError) as error:
        return PromptSight(hidden=f"the engine does not show its prompt: {error}")
    if not isinstance(text, str):
        return PromptSight(hidden="the engine of an earlier version does not show its prompt")
    return PromptSight(text)


def judge_call(claims: Claims, answer: StreamedAnswer, sight: PromptSight) -> bool:
    """The claims of the first answer; returns whether its call can be given a result."""
    if answer.error:
        claims.failed(
            SEEN,
            f"a request with tools was refused: {answer.error}",
            "the server or the model's chat template takes no tools: choose another conversion of the model",
        )
        claims.rest_not_checked((CALLED, FITS, USED))
        return False
    names = [tool["name"] for tool in TOOLS]
    if sight.hidden:
        claims.not_checked(SEEN, sight.hidden)
    else:
        shown = sight.text.replace(QUESTION, "")  # which has one of the names
        missing = [name for name in names if name not in shown]
        if not claims.holds(
            SEEN,
            not missing,
            f"the rendered prompt lacks {', '.join(missing)}"
            if missing
            else f"the rendered prompt has {', '.join(names)}",
            "the model's chat template drops tools, so the model cannot call them: take a conversion with the"
            " original template, or another model",
        ):
            claims.rest_not_checked((CALLED, FITS, USED))
            return False
    if not claims.holds(
        CALLED,
        bool(answer.calls),
        _call_text(answer.calls[0])
        if answer.calls
        else f"the answer is text: {shorten(answer.text, _SHOWN)!r} ({answer.stop_reason})",
        'see "anyclaude-tui traces show ' + answer.request_id + '": its notes say if text looked like a call;'
        " if the model writes calls in a form of its own, name it with --tool-format, else it is too small"
        " for tools",
    ):
        claims.rest_not_checked((FITS, USED))
        return False
    call = answer.calls[0]
    verdict = SCHEMAS.judge(call["name"], json.dumps(call["input"]))
    if not claims.holds(
        FITS,
        verdict.verdict == "valid",
        f"{call['name']}: {verdict.detail}" if verdict.detail else f"{call['name']}: {verdict.verdict}",
        "with the built-in engine leave the grammar on (backends.mlx.grammar); other servers pass on what the"
        " model writes, so choose a model that is trained for tools",
    ):
        claims.rest_not_checked((USED,))
        return False
    return True


def _call_text(call: Mapping[str, Any]) -> str:
    return shorten(f"{call['name']} {json.dumps(call['input'], ensure_ascii=False)}", _SHOWN)


def after_result(answer: StreamedAnswer, result: str) -> list[dict[str, Any]]:
    """The conversation with an answer's calls and their results."""
    said = [
        {"type": "text", "text": block["text"]}
        for block in answer.blocks
        if block["type"] == "text" and block["text"]
    ]
    calls = [
        {"type": "tool_use", "id": call["id"], "name": call["name"], "input": call["input"] or {}}
        for call in answer.calls
    ]
    results = [{"type": "tool_result", "tool_use_id": call["id"], "content": result} for call in answer.calls]
    return [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": [*said, *calls]},
        {"role": "user", "content": results},
    ]


def judge_result(claims: Claims, answer: StreamedAnswer, secret: str) -> None:
    """The claim of the second answer, which can have the number only from the result."""
    said = shorten(answer.text, _SHOWN)
    found = secret in re.sub(r"(?<=\d)[,.'\u2019\u00a0\u202f](?=\d{3})", "", answer.text)  # 4,711 is 4711
    claims.holds(
        USED,
        not answer.error and found,
        f"the request with the result was refused: {answer.error}"
        if answer.error
        else f"{said!r} {'has' if found else 'does not have'} {secret}",
        "either the chat template drops results, or the model is too small to use them: see the prompt with"
        ' "anyclaude-tui traces show ' + answer.request_id + ' --detail", and try another model',
    )

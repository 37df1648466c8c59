"""Checks with requests to the running host: an answer of one token, the cache's figures, a tool call."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from typing import Any

from proxy.configuration.known_backends import backend_kind
from tui.client.asking import WholeAnswer, ask_whole, made_up_prompt
from tui.client.figures import plural, seconds
from tui.client.host_client import HostClient, HostError
from tui.commands.claude_environment import model_name
from tui.commands.doctor.examination import Examination
from tui.commands.doctor.findings import Check, Finding, failed, not_checked, ok, warning

_PATIENCE_S = 120.0  # a short prompt of a large model on a slow machine, behind others in the queue
_PROMPT_TOKENS = 800
_TOOL = {
    "name": "get_weather",
    "description": "Tells the weather in a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Name of the city"}},
        "required": ["city"],
    },
}
_CALL_TOKENS = 300


class AnswerFailed(Exception):
    """The host did not answer a request as it should; the message says how. Raised by `ask`."""


def ask(examination: Examination, body: Mapping[str, Any]) -> dict[str, Any]:
    """Send one request to the host; returns the message.

    Raises:
        AnswerFailed: there is no good answer.
    """
    message = {"model": model_name(examination.host.model), "max_tokens": 1, **body}
    try:
        answer = asyncio.run(_asked(examination, message))
    except HostError as error:
        raise AnswerFailed(str(error)) from None
    if answer.refusal:
        raise AnswerFailed(answer.refusal)
    said = answer.body
    if not isinstance(said, dict) or said.get("type") != "message" or not isinstance(said.get("usage"), dict):
        raise AnswerFailed("the answer is no message with its usage")
    return said


async def _asked(examination: Examination, message: Mapping[str, Any]) -> WholeAnswer:
    client = HostClient(examination.url, examination.config.token)
    try:
        return await ask_whole(client, message, sender="doctor", patience_s=_PATIENCE_S)
    finally:
        await client.close()


def check_answer(examination: Examination) -> Finding:
    """A real inference of one token, and how long it takes."""
    if backend_kind(examination.host.backend) == "claude":
        return not_checked("the claude backend passes on your own account's requests; this command has none")
    start = time.monotonic()
    try:
        said = ask(examination, {"messages": [{"role": "user", "content": "Say hello."}]})
    except AnswerFailed as error:
        engine = examination.host.engine
        queue = (
            f" ({plural(engine.running, 'request')} ran and {engine.queue} waited)" if engine.running else ""
        )
        return failed(
            f"no answer: {error}{queue}",
            "read the trace of this request: anyclaude-tui traces list --errors -n 3",
        )
    took = seconds(time.monotonic() - start)
    usage = said["usage"]
    if not _tokens(usage, "output_tokens"):
        return failed(
            f"the answer has no token (stop reason {said.get('stop_reason')})",
            "read the trace of this request: anyclaude-tui traces list -n 3",
        )
    return ok(f"one token in {took}, behind a prompt of {_prompt_tokens(usage):,}")


def check_cache(examination: Examination) -> Finding:
    """Two requests with one long prompt made afresh: are the cache's fields there, and do they change?"""
    body = {
        "system": made_up_prompt(_PROMPT_TOKENS, secrets.token_hex(8)),
        "messages": [{"role": "user", "content": "Say hello."}],
    }
    try:
        first, second = (ask(examination, body)["usage"] for _ in range(2))
    except AnswerFailed as error:
        return failed(f"no answer: {error}", "anyclaude-tui traces list --errors -n 3 has the request")
    names = ("cache_creation_input_tokens", "cache_read_input_tokens")
    created, read = (_tokens(first, name) for name in names)
    again = _tokens(second, "cache_read_input_tokens")
    evidence = f"first request: {created:,} created, {read:,} read; second: {again:,} read"
    ours = backend_kind(examination.host.backend) == "mlx"
    if again > read and (created or not ours):  # other servers do not tell what they store
        return ok(evidence)
    if not ours:
        return warning(
            f"{evidence}: the server of {examination.host.backend} does not tell what it caches",
            "compare times to the first token: anyclaude-tui traces analyze",
        )
    lacking = [name for name in names if name not in first]
    missing = f"; {', '.join(lacking)} is missing" if lacking else ""
    return failed(
        f"the prefix cache does not work: {evidence}{missing}",
        "read the notes of the engine above, and prefixCacheBytes in anyclaude-tui config show; then "
        "anyclaude-tui verify cache --exact",
    )


def check_tool_call(examination: Examination) -> Finding:
    """A request that has to be answered by a tool call: are its fields there?"""
    body = {
        "messages": [{"role": "user", "content": "What is the weather in Oslo? Use the tool."}],
        "tools": [_TOOL],
        "tool_choice": {"type": "tool", "name": _TOOL["name"]},
        "max_tokens": _CALL_TOKENS,
        "temperature": 0,  # a check must not depend on chance
    }
    try:
        said = ask(examination, body)
    except AnswerFailed as error:
        return failed(f"no answer: {error}", "anyclaude-tui traces list --errors -n 3 has the request")
    content = said.get("content")
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    calls = [block for block in blocks if block.get("type") == "tool_use"]
    advice = "see why: anyclaude-tui traces list -n 1, then traces show ID --tool 1; or choose another model"
    spoke = any(block.get("text") for block in blocks)
    if not calls and not spoke and said.get("stop_reason") == "max_tokens":
        return warning(
            f"the model still thought after {_CALL_TOKENS} tokens, so no call came",
            "anyclaude-tui verify tools gives it more",
        )
    if not calls:
        return failed(
            f"the answer has no tool call, though one was required (stop reason {said.get('stop_reason')})",
            advice,
        )
    call = calls[0]
    given = call.get("input")
    if not (call.get("id") and call.get("name") == _TOOL["name"] and isinstance(given, dict)):
        return failed(f"the tool call lacks fields: it has {', '.join(sorted(call))}", advice)
    if not isinstance(given.get("city"), str) or said.get("stop_reason") != "tool_use":
        return failed(f"the call does not fit its tool: {given}, {said.get('stop_reason')}", advice)
    return ok(f"{call['name']}({', '.join(f'{key}={value!r}' for key, value in given.items())})"[:200])


def _prompt_tokens(usage: Mapping[str, Any]) -> int:
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return sum(_tokens(usage, name) for name in names)


def _tokens(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) else 0


CHECKS = (
    Check("answer.token", "an answer", check_answer, ("host.engine",)),
    Check("answer.cache", "caching", check_cache, ("answer.token",)),
    Check("answer.tools", "a tool call", check_tool_call, ("answer.token",)),
)

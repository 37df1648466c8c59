"""Checks the calls of an answer for auto mode: by rules, by a model, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

from proxy.anthropic.harmless_calls import is_harmless, session_folders
from proxy.anthropic.safeguards import (
    LONGEST_CALL,
    CallVerdict,
    check_body,
    has_own_rules,
    read_verdict,
    safeguard_results,
    wanted_context,
)
from proxy.backends.claude import ClaudeBackend
from proxy.backends.openai import OpenAIBackend
from proxy.backends.upstream import Backend, Broken, Finish, TextDelta, UpstreamRequest
from proxy.configuration.settled import HostConfig
from proxy.events.errors import ContextOverflow, ProxyError

CHECK_S = 60.0
NOT_KNOWN = "the rules of anyclaude-tui do not know this call as harmless (autoMode is rules)"

CheckMode = Literal["off", "rules", "model"]


@dataclass(frozen=True, slots=True)
class CallChecks:
    """How calls are checked; `backend` is the model's, `limit_s` how long one check may take."""

    mode: CheckMode = "off"
    backend: Backend | None = None
    limit_s: float = CHECK_S
    owned: Backend | None = None  # to be closed with the host

    async def close(self) -> None:
        if self.owned is not None:
            await self.owned.close()

    async def results(
        self, body: Mapping[str, Any], message: Mapping[str, Any], request_id: str, session: str
    ) -> tuple[dict[str, Any], list[str]]:
        """The field `safeguard_results` for the calls in a message, if it is wanted, and notes for the trace.

        A check that fails is `unavailable`, which Claude Code does not take for a permission.
        """
        context = wanted_context(body)
        calls = [block for block in message["content"] if block["type"] == "tool_use"]
        if context is None or not calls:
            return {}, []
        if self.mode == "off":
            return {}, ["auto mode: no call is checked, as autoMode is off"]
        verdicts: dict[str, CallVerdict] = {}
        notes = []
        for call in calls:
            verdict, by = await self._verdict(call, body, context, request_id, session)
            verdicts[call["id"]] = verdict
            why = f": {verdict.why}" if verdict.why else ""
            notes.append(f"auto mode: {call['name']} is {verdict.outcome} by {by}{why}")
        return {"safeguard_results": safeguard_results(verdicts)}, notes

    async def _verdict(
        self,
        call: Mapping[str, Any],
        body: Mapping[str, Any],
        context: Mapping[str, Any],
        request_id: str,
        session: str,
    ) -> tuple[CallVerdict, str]:
        name, given = call["name"], call["input"]
        if not has_own_rules(context) and is_harmless(name, given, session_folders(context)):
            return CallVerdict("not_flagged"), "rules"
        if self.mode == "rules" or self.backend is None:
            return CallVerdict("flagged", NOT_KNOWN), "rules"
        asked = check_body(name, given, body, context)
        if len(str(given)) > LONGEST_CALL:
            return CallVerdict("unavailable", "input_too_long"), "the model"
        try:
            async with asyncio.timeout(self.limit_s):
                return await self._ask(self.backend, asked, request_id, session), "the model"
        except TimeoutError:
            return CallVerdict("unavailable", "timeout"), "the model"
        except ContextOverflow:
            return CallVerdict("unavailable", "input_too_long"), "the model"
        except ProxyError:
            return CallVerdict("unavailable", "error"), "the model"

    async def _ask(
        self, backend: Backend, asked: dict[str, Any], request_id: str, session: str
    ) -> CallVerdict:
        if backend.dialect.thinking == "engine":
            asked["chat_template_kwargs"] = {"enable_thinking": False}
        asked = {"model": await backend.model_name(), **asked}
        request = UpstreamRequest(asked, f"{request_id}-check", lane="auxiliary", session=session)
        text, end = await self._answer(backend, request)
        return read_verdict(text) if end == "stop" else CallVerdict("unavailable", "error")

    async def _answer(self, backend: Backend, request: UpstreamRequest) -> tuple[str, str]:
        """The text of an answer, and why it ended."""
        text, end = "", ""
        async with aclosing(backend.stream(request)) as arrivals:
            async for steps in arrivals:
                for step in steps:
                    match step:
                        case TextDelta():
                            text += step.text
                        case Broken():
                            raise step.error
                        case Finish():
                            end = step.reason
        return text, end


NO_CHECKS = CallChecks()


def checks_of(config: HostConfig, backend: Backend | ClaudeBackend) -> CallChecks:
    """The checks that a configuration chooses, by the host's own model or another server's."""
    if not config.checks_calls or isinstance(backend, ClaudeBackend):
        return NO_CHECKS
    if config.auto_mode != "model":
        return CallChecks("rules")
    if not config.auto_mode_url:
        return CallChecks("model", backend)
    own = OpenAIBackend(config.auto_mode_url, config.auto_mode_model, name="auto mode's model")
    return CallChecks("model", own, owned=own)

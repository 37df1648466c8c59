"""A conversation whose assistant turns are the engine's own answers, sent back as a client sends them.

The answers are random tokens, and rarely the tokens that their text is encoded to. So a prompt continues the
cached tokens only if history is rendered from the generated tokens. Texts of a fixed length and tool calls
alternate. Everything is greedy, so that two engines with one model have the same conversation.
"""

from __future__ import annotations

from typing import Any

import httpx

from bench.claude_request import prose
from bench.replay import TIMEOUT_S, Host

ANSWER_TOKENS = 120
_SYSTEM_BYTES, _QUESTION_BYTES = 4_000, 1_200
_TOOL = {
    "name": "look",
    "description": "Look at a shelf.",
    "input_schema": {
        "type": "object",
        "properties": {"shelf": {"enum": ["left", "right", "upper"]}, "behind": {"type": "boolean"}},
        "required": ["shelf", "behind"],
        "additionalProperties": False,
    },
}


class Conversation:
    """One session with one host; each turn is a question, or the result of the previous call."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._messages: list[dict[str, Any]] = []

    def turns(self, count: int) -> None:
        """Run this number of turns; every third one asks for a tool call."""
        for _ in range(count):
            self._turn()

    def turn_prefills(self) -> int:
        """Run one more turn; returns the tokens that the engine prefilled for it."""
        before = self._host.prefilled()
        self._turn()
        return self._host.prefilled() - before

    def _turn(self) -> None:
        number = len(self._messages) // 2
        self._messages.append({"role": "user", "content": self._said(number)})
        body = {
            "model": "claude",
            "max_tokens": ANSWER_TOKENS,
            "temperature": 0,
            "system": prose(_SYSTEM_BYTES, seed=0),
            "tools": [_TOOL],
            "messages": self._messages,
        } | ({"tool_choice": {"type": "any"}} if number % 3 == 1 else {})
        answer = httpx.post(
            f"{self._host.proxy.url}/v1/messages", json=body, trust_env=False, timeout=TIMEOUT_S
        )
        content = answer.raise_for_status().json()["content"]
        self._messages.append({"role": "assistant", "content": content})

    def _said(self, number: int) -> list[dict[str, Any]]:
        text = {"type": "text", "text": prose(_QUESTION_BYTES, seed=number + 1)}
        calls = (
            [block for block in self._messages[-1]["content"] if block["type"] == "tool_use"]
            if number
            else []
        )
        results = [{"type": "tool_result", "tool_use_id": call["id"], "content": "Boxes."} for call in calls]
        return [*results, text]

"""Context edits over a proxy whose upstream counts by the words of the prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from starlette.types import Receive, Scope, Send

from proxy.anthropic.context_edits import CLEARED
from tests.proxy.anthropic.test_context_edits import answer, call, session, uses
from tests.proxy.live import Upstream, body, proxy_over, says, sse

TOOL_USES = "clear_tool_uses_20250919"
THINKING = "clear_thinking_20251015"


class Counting(Upstream):
    """Its `/tokenize` counts the bytes of what it is sent, if it `counts` at all."""

    counts = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/tokenize" or not self.counts:
            await super().__call__(scope, receive, send)
            return
        raw = (await receive())["body"]
        counted = orjson.dumps({"count": len(orjson.dumps(orjson.loads(raw)["messages"]))})
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": counted})


CASES: list[tuple[dict[str, Any], int]] = [
    ({"type": TOOL_USES, "trigger": uses(5)}, 3),
    ({"type": TOOL_USES, "trigger": uses(6)}, 0),
    ({"type": TOOL_USES, "trigger": {"type": "input_tokens", "value": 10}}, 3),
    ({"type": TOOL_USES}, 0),
    ({"type": TOOL_USES, "trigger": uses(1), "clear_at_least": {"type": "input_tokens", "value": 10**6}}, 0),
    ({"type": "compact_20260112"}, 0),
]


@pytest.mark.parametrize("counts", [True, False], ids=["counted", "estimated"])
async def test_edits_apply_before_the_prompt_and_the_answer_says_so(tmp_path: Path, counts: bool) -> None:
    upstream = Counting(says("ok"))
    upstream.counts = counts
    async with proxy_over(upstream, tmp_path) as running:
        for edit, cleared in CASES:
            asked = body(messages=session(6), context_management={"edits": [edit]})
            said = (await running.http.post("/v1/messages", json=asked)).json()
            sent = [one["content"] for one in upstream.bodies[-1]["messages"] if one["role"] == "tool"]
            assert sent.count(CLEARED) == cleared, edit
            applied = said.get("context_management", {"applied_edits": []})["applied_edits"]
            assert [one["cleared_tool_uses"] for one in applied] == [cleared] * bool(cleared)
        notes = [note for trace in running.traces() for note in trace.notes]
    assert any("compact_20260112" in note for note in notes)
    assert any("estimated" in note for note in notes) is not counts


async def test_a_stream_and_a_count_tell_of_edits_too(tmp_path: Path) -> None:
    edits = [{"type": THINKING}, {"type": TOOL_USES, "trigger": uses(1), "keep": uses(1)}]
    asked = body(
        messages=[*session(2), {"role": "user", "content": "on"}, call(9), answer(9)],
        context_management={"edits": edits},
    )
    async with proxy_over(Counting(says("ok")), tmp_path) as running:
        events = sse((await running.http.post("/v1/messages", json=asked | {"stream": True})).text)
        counted = (await running.http.post("/v1/messages/count_tokens", json=asked)).json()
    (last,) = [one for one in events if one["type"] == "message_delta"]
    thinking, calls = last["context_management"]["applied_edits"]
    assert (thinking["type"], thinking["cleared_thinking_turns"]) == (THINKING, 1)
    assert (calls["type"], calls["cleared_tool_uses"]) == (TOOL_USES, 2)
    assert calls["cleared_input_tokens"] == 0  # the mark is longer than what it stands for
    assert counted["context_management"]["original_input_tokens"] > 0


async def test_what_claude_code_asks_for_costs_no_count(tmp_path: Path) -> None:
    upstream = Counting(says("ok"))
    keep_all = {"edits": [{"type": THINKING, "keep": "all"}]}
    async with proxy_over(upstream, tmp_path) as running:
        said = await running.http.post("/v1/messages", json=body(context_management=keep_all))
    assert "context_management" not in said.json()
    # The list of models is asked for the window.
    assert [one["path"] for one in upstream.requests if one["path"] != "/v1/models"] == [
        "/v1/chat/completions"
    ]

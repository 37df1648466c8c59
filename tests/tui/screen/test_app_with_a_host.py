"""The screen on a real host: what a client does there is seen in every pane, and its trace opens."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.scripted_upstream import Call, ScriptedUpstream, Turn, in_order, serving
from tests import servers
from tests.tui.stage import lines_of, loaded
from tui.screen.app import ControlCenter
from tui.screen.widgets.strip_view import StripView

TOOL = {
    "name": "Read",
    "description": "Reads a file.",
    "input_schema": {
        "type": "object",
        "properties": {"file_path": {"type": "string"}},
        "required": ["file_path"],
    },
}
SCRIPT = in_order(
    [
        Turn("I will look [/] into it.", (Call("Read", {"file_path": "/etc/hostname"}),)),
        Turn("It is called \x1b[2J turing."),
    ]
)


async def converse(url: str) -> None:
    """Two requests of one conversation: a call, and its result."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "What is this machine called?"}]
    body = {"model": "claude-sonnet-4-5", "max_tokens": 200, "stream": False, "tools": [TOOL]}
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        answer = (await client.post("/v1/messages", json=body | {"messages": messages})).json()
        call = next(block for block in answer["content"] if block["type"] == "tool_use")
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": "turing\n"}
        messages += [
            {"role": "assistant", "content": answer["content"]},
            {"role": "user", "content": [result]},
        ]
        (await client.post("/v1/messages", json=body | {"messages": messages})).raise_for_status()


@pytest.mark.slow
async def test_what_a_client_does_is_seen_in_every_pane(tmp_path: Path) -> None:
    with (
        serving(ScriptedUpstream(SCRIPT).app) as upstream,
        servers.proxy(tmp_path, backend="openai", backend_url=upstream, model="scripted") as proxy,
    ):
        app = ControlCenter(attach_url=proxy.url)
        async with app.run_test(size=(160, 45)) as pilot:

            async def until(*texts: str) -> None:
                deadline = asyncio.get_running_loop().time() + 20
                while not all(text in (drawn := lines_of(app.screen.query(StripView))) for text in texts):
                    assert asyncio.get_running_loop().time() < deadline, drawn
                    await loaded(app)
                    await pilot.pause(0.02)

            await until("No request yet.", "live")
            await converse(proxy.url)
            await until("✓ answered", "→ Read /etc/hostname", "✓ 1 call", "✗ 0 of 2")
            await pilot.press("right", "down")
            await until("I will look [/] into it.")
            await pilot.press("3")
            await until("/etc/hostname", "✓ valid", "✓ ok")
            await pilot.press("4")
            await until("this host runs no engine", "scripted")
            await pilot.press("2")
            await until("RESTORED · PREFILLED")
            await pilot.press("5")
            await until("2 in all", "What is this")
            await pilot.press("enter")
            await until("trace", "Tokens", "first token")
            await pilot.press("5")
            await until("It is called  turing.")

"""A day in the real Claude Code, played by `claude-agent-sdk` against a scripted model, and its requests.

Parts: one long conversation (a bug to mend, tools that are loaded by ToolSearch, MCP, pictures, subagents, an
interrupted command, a skill, `/compact`), the same resumed, plan mode with a question, single prompts
(structured output, continued), three sessions at once, and a task that outlives an automatic compaction
while a prompt hook judges each turn. Nothing of it is stored.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claude_agent_sdk import (
    ClaudeSDKClient,
    PermissionResultAllow,
    ResultMessage,
    SdkMcpTool,
    TaskNotificationMessage,
    ToolPermissionContext,
    ToolUseBlock,
    create_sdk_mcp_server,
    tool,
)

from bench.agent_sdk.options import sdk_options
from bench.claude_code import claude_is_there, claude_path
from bench.recorded_day.project import DayProject, picture_block, png
from bench.recorded_day.script import DayScript
from bench.recorded_traffic import ClientMissing, Recorded, proxy_process, recorded_in
from bench.scripted_upstream import ScriptedUpstream, serving

WINDOW = 40_000  # tokens: the long part compacts twice
TURN_S = 120.0
_PRICED = {"type": "object", "properties": {"item": {"type": "string"}}, "required": ["item"]}
_ORDERED = {
    "type": "object",
    "properties": {
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "count": {"type": "integer", "minimum": 1}},
                "required": ["name"],
            },
            "description": "What to order. " * 20,
        },
        "express": {"type": "boolean"},
    },
    "required": ["items"],
    "additionalProperties": False,
}
_TOTAL = {
    "type": "object",
    "properties": {"total": {"type": "integer"}, "currency": {"type": "string"}},
    "required": ["total", "currency"],
}
_JUDGED = {"hooks": {"Stop": [{"hooks": [{"type": "prompt", "prompt": "Is the task of the user done?"}]}]}}


class Day:
    """The sessions of a day at one host."""

    def __init__(self, url: str, project: DayProject, home: Path) -> None:
        self._url, self._project, self._home = url, project, home

    async def play(self) -> None:
        """All parts, one after the other."""
        session = await self._talk()
        await self._resume(session)
        await self._plan()
        await self._single()
        await self._together()
        await self._long()

    async def _talk(self) -> str:
        async with self._session() as say:
            await say("Who are you? [hello]")
            await say("Please mend the till. [mend]")
            await say("Ask the shop for a till. [shop]")
            await say([{"type": "text", "text": "What is in this picture? [picture]"}, picture_block()])
            await say("Look at the plot, the notebook and the terms. [media]")
            await say("Search the web for tills. [search]")
            await say("Delegate the count. [agents]", tasks=2)
            await say("Wait a minute. [sleep]", interrupted_in="Bash")
            await say("Where are the full boxes? [shelf]")
            await say("/count-shelf 4")
            await say("/compact")
            await say("And what does a drawer cost? [again]")
            return await say("Read the shelf once more. [shelf]")

    async def _resume(self, session: str) -> None:
        async with self._session(resume=session) as say:
            await say("Mend it again. [mend]")
            await say("What is left for later? [left]")

    async def _plan(self) -> None:
        async with self._session(permission_mode="plan", can_use_tool=_allow) as say:
            await say("Plan the mending. [plan]")
            await say("Ask me first. [ask]")
            await say("Thank you. [hello]")

    async def _single(self) -> None:
        async with self._session() as say:
            await say("Mend the till. [mend]")
        form = {"type": "json_schema", "schema": _TOTAL}
        async with self._session(continue_conversation=True) as say:
            await say("And what does the shop say? [shop]")
        async with self._session(output_format=form) as say:
            await say("The total, please. [json]")

    async def _together(self) -> None:
        async def one(text: str) -> None:
            async with self._session() as say:
                await say(text)

        await asyncio.gather(*(one(f"At once. [{mark}]") for mark in ("shelf", "mend", "shop")))

    async def _long(self) -> None:
        async with self._session(hooks_in_settings=_JUDGED) as say:
            await say("Read on until the end. [long]")
            await say("Mend the till. [mend]")
            await say("Thank you. [hello]")

    @asynccontextmanager
    async def _session(self, hooks_in_settings: Any = None, **more: Any) -> AsyncIterator[Say]:
        options = sdk_options(
            self._url,
            home=self._home,
            project=self._project.folder,
            context_tokens=WINDOW,
            mcp_servers={"shop": create_sdk_mcp_server("shop", tools=_shop())},
            **more,
        )
        if hooks_in_settings:
            options.settings = json.dumps(json.loads(options.settings or "{}") | hooks_in_settings)
        async with ClaudeSDKClient(options) as client:
            yield Say(client)


@dataclass(frozen=True)
class Say:
    """Says something in a session and reads until it is answered."""

    client: ClaudeSDKClient

    async def __call__(
        self, said: str | list[dict[str, Any]], *, tasks: int = 0, interrupted_in: str = ""
    ) -> str:
        """Returns the session's id.

        With `tasks` it also waits until so many background tasks have ended and their results are answered;
        `interrupted_in` names a tool in whose call the turn is interrupted.

        Raises:
            RuntimeError: the turn ended with an error.
            TimeoutError: it did not end within `TURN_S`.
        """
        await self.client.query(said if isinstance(said, str) else _message(said))
        async with asyncio.timeout(TURN_S):
            async for message in self.client.receive_messages():
                tasks -= isinstance(message, TaskNotificationMessage)
                calls = [b.name for b in getattr(message, "content", ()) if isinstance(b, ToolUseBlock)]
                if interrupted_in in calls:
                    await self.client.interrupt()
                if isinstance(message, ResultMessage) and tasks <= 0:
                    if message.is_error and not interrupted_in:
                        raise RuntimeError(f"{said}: {message.subtype}: {message.result}")
                    return message.session_id
        raise RuntimeError(f"the client ended before it answered {said}")


async def _message(content: list[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    yield {"type": "user", "message": {"role": "user", "content": content}, "parent_tool_use_id": None}


async def _allow(name: str, given: dict[str, Any], _: ToolPermissionContext) -> PermissionResultAllow:
    answers = {one["question"]: one["options"][0]["label"] for one in given.get("questions", [])}
    return PermissionResultAllow(updated_input=given | ({"answers": answers} if answers else {}))


def _shop() -> list[SdkMcpTool[Any]]:
    """The tools of the MCP server `shop`, which runs in this process."""

    @tool("price", "The price of an item of the shop, in pounds.", _PRICED)
    async def price(given: dict[str, Any]) -> dict[str, Any]:
        return {"content": [{"type": "text", "text": f"{given['item']}: 42"}]}

    @tool("picture", "A picture of the shop.", {"type": "object", "properties": {}})
    async def picture(_: dict[str, Any]) -> dict[str, Any]:
        data = base64.b64encode(png(10, 10)).decode()
        return {"content": [{"type": "image", "data": data, "mimeType": "image/png"}]}

    @tool("order", "Orders items of the shop. " + "It has many rules. " * 60, _ORDERED)
    async def order(given: dict[str, Any]) -> dict[str, Any]:
        return {"content": [{"type": "text", "text": "Ordered: " + json.dumps(given)}]}

    return [price, picture, order]


def record_day(folder: Path) -> list[Recorded]:
    """Play the day on a host with a scripted model; returns its requests in order.

    Raises:
        ClientMissing: Claude Code is not installed.
    """
    if not claude_is_there():
        raise ClientMissing(f"Claude Code is not at {claude_path()}: run `make claude-code` (needs npm)")
    project = DayProject(folder / "project")
    project.create()
    scripted = ScriptedUpstream(DayScript(project))
    home = folder / "recording"
    settings = {
        "backend": "openai",
        "backend_name": "openai",
        "model": "scripted",
        "context_tokens": WINDOW,
        "home": str(home),
        "port": 0,
    }
    with (
        serving(scripted.app) as upstream,
        proxy_process(folder, "recording", settings | {"backend_url": upstream}) as proxy,
    ):
        asyncio.run(Day(proxy.url, project, folder / "client").play())
        return recorded_in(home, count=len(scripted.bodies))

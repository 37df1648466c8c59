"""One host for all cases: the real client, the proxy, and a scripted model that each case scripts anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from claude_agent_sdk import (
    AssistantMessage,
    ClaudeAgentOptions,
    ClaudeSDKClient,
    Message,
    ResultMessage,
    TextBlock,
    query,
)
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from bench.agent_sdk.options import sdk_options
from bench.child import poll
from bench.recorded_traffic import proxy_process, traces_in
from bench.scripted_upstream import Body, Script, ScriptedUpstream, Turn, in_order, serving
from proxy.traces.schema import Trace

ANSWER_S = 60.0


class SdkHost:
    """A running host. Its model does what `plays` said last; `requests` and `traces` are of since then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.project = folder / "project"
        self.scripted = ScriptedUpstream(lambda body: self._script(body))
        self._script: Script = in_order([Turn("Nothing was asked.")])
        self._faults: list[int] = []
        self._before: set[str] = set()
        self._sent = 0

    def plays(self, *turns: Turn, script: Script | None = None, faults: tuple[int, ...] = ()) -> None:
        """What the model does in a case: turns in their order, or a script of its own.

        `faults` are statuses with which the upstream answers the next requests; 0 keeps one waiting until
        its client leaves.
        """
        self._script = script or in_order(turns)
        self._faults = list(faults)
        self._before = {trace.id for trace in self._kept()}
        self._sent = len(self.scripted.bodies)

    @property
    def requests(self) -> list[Body]:
        """The requests as they reached the model."""
        return self.scripted.bodies[self._sent :]

    def traces(self) -> list[Trace]:
        """The traces, as soon as each request that reached the model has its own."""

        def complete() -> list[Trace] | None:
            new = [trace for trace in self._kept() if trace.id not in self._before]
            return new if len(new) >= len(self.requests) else None

        return poll(complete, timeout_s=20, what="the traces of the case", every_s=0.1)

    def options(self, **more: Any) -> ClaudeAgentOptions:
        """Options of the SDK for a client on this host."""
        return sdk_options(self.url, home=self.folder / "client", project=self.project, **more)

    @asynccontextmanager
    async def client(self, **more: Any) -> AsyncIterator[ClaudeSDKClient]:
        """A connected client with these options."""
        async with asyncio.timeout(ANSWER_S), ClaudeSDKClient(self.options(**more)) as client:
            yield client

    async def ask(self, prompt: Any, **more: Any) -> list[Message]:
        """All messages of a `query()` with these options."""
        async with asyncio.timeout(ANSWER_S):
            return [message async for message in query(prompt=prompt, options=self.options(**more))]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The upstream as an ASGI application: the scripted one, behind the faults."""
        if scope["type"] == "http" and scope["method"] == "POST" and self._faults:
            status = self._faults.pop(0)
            if status:
                error = JSONResponse({"error": {"message": f"a fault of {status}"}}, status)
                return await error(scope, receive, send)
            while (await receive())["type"] != "http.disconnect":
                pass
            return None
        return await self.scripted.app(scope, receive, send)

    def _kept(self) -> list[Trace]:
        return traces_in(self.folder / "recording")


@contextmanager
def sdk_host(folder: Path) -> Iterator[SdkHost]:
    """A host with its project and its client's home in `folder`."""
    host = SdkHost(folder)
    host.project.mkdir(parents=True)
    (host.project / "CLAUDE.md").write_text("The project's own words.\n")
    (host.project / "till.py").write_text("print(6 - 7)\n")
    settings = {
        "backend": "openai",
        "backend_name": "openai",
        "model": "scripted",
        "context_tokens": 200_000,
        "home": str(folder / "recording"),
        "port": 0,
    }
    with (
        serving(host) as upstream,
        proxy_process(folder, "recording", settings | {"backend_url": upstream}) as proxy,
    ):
        host.url = proxy.url
        yield host


async def answered(client: ClaudeSDKClient, prompt: Any) -> list[Message]:
    """Say something and read until the result, which is the last of the messages."""
    await client.query(prompt)
    return [message async for message in client.receive_response()]


def result_of(messages: list[Message]) -> ResultMessage:
    """The result that ends a turn."""
    return next(message for message in reversed(messages) if isinstance(message, ResultMessage))


def texts(messages: list[Message]) -> list[str]:
    """The texts of the model."""
    blocks = [b for message in messages if isinstance(message, AssistantMessage) for b in message.content]
    return [block.text for block in blocks if isinstance(block, TextBlock)]


def results_sent(body: Body) -> list[str]:
    """What tools gave back, as the model gets it."""
    return [str(message["content"]) for message in body["messages"] if message["role"] == "tool"]


async def user_messages(*contents: Any) -> AsyncIterator[dict[str, Any]]:
    """Messages of a user in the form that the SDK streams."""
    for content in contents:
        yield {"type": "user", "message": {"role": "user", "content": content}, "parent_tool_use_id": None}

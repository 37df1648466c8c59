"""Any OpenAI-compatible server: LM Studio, vLLM, Ollama, OpenRouter, llama.cpp and the like."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

from proxy.backends.chat_client import ChatClient
from proxy.backends.chat_stream import ChatStreamReader
from proxy.backends.upstream import Dialect, Finish, LateTools, Note, UpstreamEvent, UpstreamRequest
from proxy.backends.upstream_window import UpstreamWindow
from proxy.events.errors import (
    ContextOverflow,
    NotFound,
    UpstreamError,
    UpstreamModelMissing,
    UpstreamRejected,
)

_PASSES_UNKNOWN_CALLS = ("vllm",)  # by `owned_by`; SGLang, Ollama and llama.cpp do not
_COUNTS_EARLY = ("vllm", "sglang")  # by `owned_by` of their models: they report usage in each chunk on demand


class OpenAIBackend:
    """A server that the user runs or rents; `model` empty: the first that it lists.

    With `system_turns` it is sent system entries where they stand; else they are folded into their
    neighbours, as most chat templates refuse them after the first message. With `structured_calls` its text
    is never searched for calls, unless `tool_format` names the family in whose marks they come.
    Without `late_tools` they are listed, unless the server turns out to pass on calls of any tool.
    `context_tokens` is the model's window, 0 if it is not known: the list of models or a refusal may name it.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        name: str = "openai",
        key: str = "",
        system_turns: bool = False,
        structured_calls: bool = False,
        tool_format: str = "",
        top_k: bool = False,
        thinking_token_budget: bool = False,
        openrouter_reasoning: bool = False,
        context_tokens: int = 0,
        late_tools: LateTools | None = None,
    ) -> None:
        self.name = name
        self.dialect = Dialect(
            system_turns=system_turns,
            images=True,
            top_k=top_k,
            thinking_token_budget=thinking_token_budget,
            openrouter_reasoning=openrouter_reasoning,
            structured_calls=structured_calls and not tool_format,
            tool_format=tool_format,
            mixed_thinking=True,
            continues_answers=name in _COUNTS_EARLY,
            late_tools=late_tools or "listed",
        )
        self._settled_tools = late_tools is not None
        self._client = ChatClient(base_url, name, key=key)
        self._model = model
        self._window = UpstreamWindow(context_tokens)
        self._counts_early = name in _COUNTS_EARLY
        self._listed = False

    @property
    def context_tokens(self) -> int:
        """The model's window, 0 while it is not known."""
        return self._window.tokens

    async def stream(self, request: UpstreamRequest) -> AsyncGenerator[list[UpstreamEvent], None]:
        wanted = request.body.get("max_tokens") or 0
        left = self._window.left_for(request.body)
        limit = min(wanted, left) if left else wanted
        try:
            async with aclosing(self._answer(request, limit)) as arrivals:
                async for steps in arrivals:
                    yield steps
        except ContextOverflow as overflow:  # a refusal: nothing was sent yet
            limit = self._window.left_after(overflow, limit)
            if not limit:
                raise
        else:
            return
        async with aclosing(self._answer(request, limit)) as arrivals:
            async for steps in arrivals:
                yield steps

    async def _answer(
        self, request: UpstreamRequest, limit: int
    ) -> AsyncGenerator[list[UpstreamEvent], None]:
        """The answer to a request of at most `limit` tokens."""
        body = request.body | ({"max_tokens": limit} if limit else {})
        if self._counts_early:
            body["stream_options"] = {"continuous_usage_stats": True}
        # The reader compares with what the client asked for: a lower limit is the window's end.
        reader = ChatStreamReader.of_request(self.name, request.body)
        async with aclosing(self._client.stream(body, {}, reader)) as arrivals:
            async for steps in arrivals:
                if limit != (request.body.get("max_tokens") or 0):
                    steps.insert(0, Note(_limited(request.body["max_tokens"], limit, self._window.tokens)))
                    limit = request.body["max_tokens"]
                for step in steps:
                    if isinstance(step, Finish):
                        self._window.measured(request.body, step.prompt_tokens or 0)
                yield steps

    async def model_name(self) -> str:
        if not self._listed:
            try:
                await self.models()
            except UpstreamError:
                if not self._model:
                    raise
        if not self._model:
            raise UpstreamModelMissing(f"{self.name} lists no model; name one in the configuration")
        return self._model

    async def count_tokens(self, request: UpstreamRequest) -> int:
        """Count with vLLM's `/tokenize`, the one such API that takes a whole conversation.

        Raises:
            NotFound: the server does not have it; nothing is guessed instead.
        """
        parts = urlsplit(self._client.base_url)
        root = urlunsplit(parts._replace(path=parts.path.removesuffix("/v1") + "/tokenize"))
        try:
            count = (await self._client.call("POST", root, request.body)).get("count")
        except (UpstreamModelMissing, UpstreamRejected):
            count = None
        if not isinstance(count, int):
            raise NotFound(f"{self.name} cannot count tokens: it has no /tokenize that takes messages")
        return count

    async def models(self) -> list[str]:
        try:
            entries = await self._client.listed_models()
        except (UpstreamModelMissing, UpstreamRejected):
            self._listed = True  # it has no list
            raise
        self._listed = bool(entries)
        if entries and not self._model:
            self._model = str(entries[0]["id"])
        for entry in entries:
            if entry["id"] == self._model:
                self._window.read(entry)
                self._counts_early = self._counts_early or entry.get("owned_by") in _COUNTS_EARLY
                if not self._settled_tools and entry.get("owned_by") in _PASSES_UNKNOWN_CALLS:
                    self.dialect = replace(self.dialect, late_tools="text")
        return [str(entry["id"]) for entry in entries]

    async def close(self) -> None:
        await self._client.close()


def _limited(wanted: int, limit: int, window: int) -> str:
    return f"max_tokens was {wanted}, of which {limit} are left beside the prompt in the window of {window}"

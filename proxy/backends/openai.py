"""Any OpenAI-compatible server: LM Studio, vLLM, Ollama, OpenRouter, llama.cpp and the like."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from proxy.backends.answer_rate import AnswerRate, characters_of
from proxy.backends.chat_client import ChatClient
from proxy.backends.chat_stream import ChatStreamReader
from proxy.backends.upstream import (
    Dialect,
    Finish,
    LateTools,
    Note,
    ThinkingControl,
    TokenEstimates,
    UpstreamEvent,
    UpstreamRequest,
)
from proxy.backends.upstream_window import UpstreamWindow
from proxy.events.errors import (
    ContextOverflow,
    NotFound,
    UpstreamError,
    UpstreamModelMissing,
    UpstreamRejected,
)

_OPENAI = "api.openai.com"
# Models whose calls vLLM 0.32 constrains to the tools that it was told of, or drops if they are of others.
_HELD_TO_THEIR_TOOLS = re.compile(r"glm|minimax|minicpm|dots\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _KnownServer:
    """What a server takes that names itself as the owner of its models.

    `counting`: the fields by which it reports usage before the end. `continues_answers`: with the fields of
    vLLM. `passes_unknown_calls`: calls of tools that it was not told of. SGLang drops them, llama.cpp keeps
    its model from writing them, and Ollama, which does not name itself, takes them for text.
    """

    thinking: ThinkingControl
    counting: Mapping[str, Any]
    continues_answers: bool = False
    passes_unknown_calls: bool = False


_EACH_CHUNK: Mapping[str, Any] = {"stream_options": {"continuous_usage_stats": True}}
_SERVERS = {
    "vllm": _KnownServer("vllm", _EACH_CHUNK, continues_answers=True, passes_unknown_calls=True),
    "sglang": _KnownServer("sglang", _EACH_CHUNK, continues_answers=True),
    "llamacpp": _KnownServer("llama.cpp", {"return_progress": True, "timings_per_token": True}),
}


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
        thinking: ThinkingControl = "",
        context_tokens: int = 0,
        late_tools: LateTools | None = None,
    ) -> None:
        self.name = name
        known = _SERVERS.get(name)
        if not thinking and httpx.URL(base_url).host == _OPENAI:
            thinking = "openai"
        self.dialect = Dialect(
            system_turns=system_turns,
            images=True,
            top_k=top_k,
            thinking=thinking,
            structured_calls=structured_calls and not tool_format,
            tool_format=tool_format,
            mixed_thinking=True,
            continues_answers=known is not None and known.continues_answers,
            late_tools=late_tools or _late_tools(known, model),
        )
        self._settled_tools = late_tools is not None
        self._client = ChatClient(base_url, name, key=key)
        self._model = model
        self._window = UpstreamWindow(context_tokens)
        self._answers = AnswerRate()
        self._counting = dict(known.counting) if known is not None else {}
        self._listed = False

    @property
    def model(self) -> str:
        """The model that answers, empty while the server has not been asked for its first."""
        return self._model

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
        body = request.body | ({"max_tokens": limit} if limit else {}) | self._counting
        # The reader compares with what the client asked for: a lower limit is the window's end.
        reader = ChatStreamReader.of_request(self.name, request.body)
        if not self._counting:
            yield [TokenEstimates(self._window.estimate(body), self._answers.tokens_per_character)]
        characters = 0
        async with aclosing(self._client.stream(body, {}, reader)) as arrivals:
            async for steps in arrivals:
                characters += characters_of(steps)
                if limit != (request.body.get("max_tokens") or 0):
                    steps.insert(0, Note(_limited(request.body["max_tokens"], limit, self._window.tokens)))
                    limit = request.body["max_tokens"]
                for step in steps:
                    if isinstance(step, Finish):
                        self._window.measured(request.body, step.prompt_tokens or 0)
                        self._answers.measured(characters, step.output_tokens or 0)
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
            if not self._model:
                raise
            return [self._model]
        self._listed = bool(entries)
        if entries and not self._model:
            self._model = str(entries[0]["id"])
        for entry in entries:
            if entry["id"] == self._model:
                self._window.read(entry)
                self._recognise(entry.get("owned_by"), f"{self._model} {entry.get('root')}")
        return [self._model] if self._model else []

    def _recognise(self, owner: Any, model: str) -> None:
        """Speak to the server as what it names itself to be; `model` are all names of the model."""
        known = _SERVERS.get(owner) if isinstance(owner, str) else None
        if known is None:
            return
        self._counting = dict(known.counting)
        self.dialect = replace(
            self.dialect,
            top_k=True,
            thinking=self.dialect.thinking or known.thinking,
            continues_answers=known.continues_answers,
        )
        if not self._settled_tools:
            self.dialect = replace(self.dialect, late_tools=_late_tools(known, model))

    async def close(self) -> None:
        await self._client.close()


def _late_tools(known: _KnownServer | None, model: str) -> LateTools:
    passes = known is not None and known.passes_unknown_calls and not _HELD_TO_THEIR_TOOLS.search(model)
    return "text" if passes else "listed"


def _limited(wanted: int, limit: int, window: int) -> str:
    return f"max_tokens was {wanted}, of which {limit} are left beside the prompt in the window of {window}"

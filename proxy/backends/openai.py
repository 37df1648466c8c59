"""Any OpenAI-compatible server: LM Studio, vLLM, Ollama, OpenRouter, llama.cpp and the like."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from urllib.parse import urlsplit, urlunsplit

from proxy.backends.chat_client import ChatClient
from proxy.backends.chat_stream import ChatStreamReader
from proxy.backends.upstream import Dialect, UpstreamEvent, UpstreamRequest
from proxy.events.errors import NotFound, UpstreamModelMissing, UpstreamRejected


class OpenAIBackend:
    """A server that the user runs or rents; `model` empty: the first that it lists.

    With `system_turns` it is sent system entries where they stand; else they are folded into their
    neighbours, as most chat templates refuse them after the first message. With `structured_calls` its text
    is never searched for calls, unless `tool_format` names the family in whose marks they come.
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
        )
        self._client = ChatClient(base_url, name, key=key)
        self._model = model

    def stream(self, request: UpstreamRequest) -> AsyncGenerator[list[UpstreamEvent], None]:
        reader = ChatStreamReader.of_request(self.name, request.body)
        return self._client.stream(request.body, {}, reader)

    async def model_name(self) -> str:
        if not self._model:
            listed = await self._client.model_ids()
            if not listed:
                raise UpstreamModelMissing(f"{self.name} lists no model; name one in the configuration")
            self._model = listed[0]
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
        return await self._client.model_ids()

    async def close(self) -> None:
        await self._client.close()

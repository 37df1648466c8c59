"""What every upstream model speaks inside the proxy: a request, a stream of typed steps, errors.

The steps that only the built-in engine reports are the payloads of its feed (`engine.wire.feed`).

A backend turns an `UpstreamRequest` into an async iterator of `UpstreamEvent`s, in lists of what arrived
together, so that each network read is translated and written at once. It raises `UpstreamError` for
everything that goes wrong, before or in the middle of the stream; where something arrived together with the
fault, `Broken` stands behind it as the last step. It closes its connection when the iterator is closed, so
that a client that leaves stops the work upstream.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from engine.wire.feed import CacheChange as CacheChange
from engine.wire.feed import Lookup as Lookup
from engine.wire.feed import Note as Note
from engine.wire.feed import PartTokens as PartTokens
from engine.wire.feed import PhaseTimes as PhaseTimes
from engine.wire.feed import PrefillProgress as PrefillProgress
from engine.wire.feed import Progress as Progress
from engine.wire.feed import Queued as Queued
from engine.wire.feed import Resumed as Resumed
from engine.wire.feed import ToolCallOpen as ToolCallOpen
from engine.wire.feed import ToolCallRaw as ToolCallRaw
from proxy.events.errors import UpstreamError

LateTools = Literal["marked", "text", "listed"]
"""Where definitions of tools go that come while a conversation runs, or that the client defers.

`marked`: into the conversation as text, and with `defer_loading` into `tools`, for calls to be constrained.
`text`: into the conversation only; the upstream passes on calls of tools that it was not told of. `listed`:
behind the others in `tools`; the upstream takes a call of any other tool for text, or drops it.
"""

ThinkingControl = Literal["", "engine", "vllm", "sglang", "llama.cpp", "ollama", "openrouter", "openai"]
"""Whose fields an upstream takes for whether, how hard and how long a model thinks; empty: none are known."""

FinishReason = Literal[
    "stop",
    "length",
    "tool_calls",
    "content_filter",
    "stop_sequence",
    "context_length",
    "repetition",  # the upstream ended it because it went in circles
    "unreported",  # the stream was closed in order, without a reason
]


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call; `id` and `name` come with the first piece of each `index`."""

    index: int
    arguments: str
    id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class PromptCount:
    """The upstream has counted the prompt, before its answer has ended."""

    prompt_tokens: int
    cached_tokens: int = 0  # of them, those that were not computed


@dataclass(frozen=True, slots=True)
class OutputCount:
    """Tokens of the answer so far, counted by the upstream: a delta may have many."""

    output_tokens: int


@dataclass(frozen=True, slots=True)
class TokenEstimates:
    """For an answer that is interrupted, of an upstream that counts at the end; by its answers before.

    `prompt_tokens`: of the request's prompt. `tokens_per_character`: of an answer. Each is 0 if not known.
    """

    prompt_tokens: int
    tokens_per_character: float


@dataclass(frozen=True, slots=True)
class Broken:
    """The last step of an answer that has no end: why."""

    error: UpstreamError


@dataclass(frozen=True, slots=True)
class Finish:
    """The last step. Token counts are None where the upstream does not report them."""

    reason: FinishReason
    stop_sequence: str | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None


UpstreamEvent = (
    Lookup
    | PartTokens
    | PhaseTimes
    | Resumed
    | PromptCount
    | OutputCount
    | TokenEstimates
    | Queued
    | PrefillProgress
    | TextDelta
    | ThinkingDelta
    | ToolCallOpen
    | ToolCallDelta
    | ToolCallRaw
    | Progress
    | CacheChange
    | Note
    | Finish
    | Broken
)


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """A chat completion request in OpenAI's form, with what the backend must know beside it."""

    body: dict[str, Any]  # OpenAI chat completion body: model, messages, tools, sampling, max_tokens, stop
    request_id: str
    lane: str = "main"
    session: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Dialect:
    """What an upstream understands beyond plain chat completions."""

    system_turns: bool = False  # the role system anywhere in `messages`
    reasoning: bool = False  # `reasoning_content` in assistant messages of the history
    images: bool = False  # `image_url` parts
    top_k: bool = False
    thinking: ThinkingControl = ""
    limits_thinking: bool = True  # by a number of tokens, if `thinking` has a field for it
    structured_calls: bool = False  # a call of a tool that it was offered never comes as text
    tool_format: str = ""  # the family in whose marks calls come as text; empty: as the model's name suggests
    continues_answers: bool = False  # `continue_final_message`
    late_tools: LateTools = "listed"
    project_text: bool = False  # parts of the system text that differ by project are to be marked
    mixed_thinking: bool = False  # thinking may come as text, and with its marks


class Backend(Protocol):
    """An upstream model."""

    name: str
    dialect: Dialect

    def stream(self, request: UpstreamRequest) -> AsyncGenerator[list[UpstreamEvent], None]:
        """Run one request.

        Raises:
            proxy.events.errors.UpstreamError: refused, unreachable, broken off; see its subclasses.
        """
        ...

    async def model_name(self) -> str:
        """The model to name in requests."""
        ...

    async def count_tokens(self, request: UpstreamRequest) -> int:
        """Prompt tokens of the request with the model's own template and tokenizer."""
        ...

    async def models(self) -> list[str]:
        """Ids of the models that answer, whatever else the upstream offers."""
        ...

    async def close(self) -> None: ...

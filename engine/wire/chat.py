"""OpenAI's chat completion objects, as the engine writes them and the proxy reads them.

Plain functions over plain dicts: nothing here is validated per chunk. This module imports no mlx.
The forms are those of OpenAI's API reference for chat completions, 2025; `reasoning_content` is the field in
which DeepSeek, vLLM and others send thinking.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

Message = dict[str, Any]
"""One entry of `messages` in OpenAI's form."""

FinishReason = Literal["stop", "length", "tool_calls"]

Lane = Literal["main", "subagent", "compaction", "auxiliary"]
"""What a request is for: the main conversation, a subagent, a compaction, anything else."""

LANE_HEADER = "x-anyclaude-lane"
"""Request header that names the lane."""

SESSION_HEADER = "x-anyclaude-session"
"""Request header with the percent-encoded name of the client's session, for people."""

RESUME_HEADER = "x-anyclaude-resume"
"""Request header with the value 1: where a client left the same request before its end, go on from there."""

PROJECT_TEXT = "project_text"
"""Marks the parts of a leading system text that differ by project (`engine.prompts.turn_arrangement`)."""

CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
OMITTED_PART = "[{kind}: you read text only and were not shown this part; do not guess what it holds]"

_CONTEXT_LENGTH = re.compile(r"maximum context length is (\d+) tokens.*resulted in (\d+) tokens", re.DOTALL)


def content_text(content: Any) -> str:
    """The text of a message's content, the same for a string and for a list of parts that add up to it.

    Parts that are no text stand as a short remark in its place, so that the model knows of them.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "".join(_part_text(part) for part in content)


def _part_text(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part.get("text"), str):
        return str(part["text"])
    if isinstance(part.get("refusal"), str):
        return str(part["refusal"])
    if part.get("type") == "image_url":
        return unseen_picture()
    return OMITTED_PART.format(kind=part.get("type", "part"))


def unseen_picture(what: str = "") -> str:
    """What a model that reads text only reads in place of a picture; `what`: its kind and size."""
    about = f": {what}" if what else ""
    return (
        f"[A picture stands here, and you were not shown it{about}. Do not guess what it shows. If it is a"
        " file, a tool may read it: `tesseract FILE -` gives the words in it. Else ask the user a small"
        " question about it.]"
    )


def error_body(
    message: str, type: str, *, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """An error in OpenAI's form."""
    return {"error": {"message": message, "type": type, "param": param, "code": code}}


def context_length_message(prompt_tokens: int, context_length: int) -> str:
    """The message of an error with code `context_length_exceeded`, in OpenAI's wording."""
    return (
        f"This model's maximum context length is {context_length} tokens. However, your messages resulted in "
        f"{prompt_tokens} tokens. Please reduce the length of the messages."
    )


def context_length_numbers(message: str) -> tuple[int, int] | None:
    """`(prompt_tokens, context_length)` out of such a message, or None if it is none."""
    found = _CONTEXT_LENGTH.search(message)
    return (int(found[2]), int(found[1])) if found else None


def usage(prompt: int, completion: int, *, cached: int, reasoning: int | None = None) -> dict[str, Any]:
    """Token counts; `reasoning` is left out for a model that does not think."""
    counts: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    if reasoning is not None:
        counts["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return counts


def tool_call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    """A whole call as an assistant message has it; in a delta it also carries its `index`."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


@dataclass(frozen=True, slots=True)
class CompletionHead:
    """What all chunks of one answer share."""

    id: str
    created: int
    model: str

    def delta(self, delta: dict[str, Any]) -> dict[str, Any]:
        """A chunk that adds to the message."""
        return self._chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}])

    def finish(self, reason: FinishReason, **extra: Any) -> dict[str, Any]:
        """The chunk that ends the choice."""
        return self._chunk([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": reason, **extra}])

    def usage(self, counts: dict[str, Any]) -> dict[str, Any]:
        """The last chunk, for clients that asked for usage."""
        return self._chunk([]) | {"usage": counts}

    def completion(
        self, message: dict[str, Any], reason: FinishReason, counts: dict[str, Any], **extra: Any
    ) -> dict[str, Any]:
        """A whole answer that is not streamed."""
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason, **extra}
        head = {"id": self.id, "object": "chat.completion", "created": self.created, "model": self.model}
        return head | {"choices": [choice], "usage": counts}

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }

"""The context window of an upstream's model, and how much of it is left for an answer.

A server such as vLLM refuses a request whose prompt and `max_tokens` together do not fit. So `max_tokens` is
reduced to what is left. The prompt's tokens are estimated from the last one that the upstream counted; where
the estimate is too low, the refusal names the exact count, and the request is sent once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.wire.json_text import encode_json
from proxy.events.errors import ContextOverflow

_LEARNT_FROM = 10_000  # bytes of a prompt, at least: in shorter ones the template's own tokens dominate
_MARGIN = 1.02  # other texts have other tokens
_LEAST = 4096  # an estimate that leaves less is not exact enough: a refusal is
# In an entry of `GET /models`: vLLM and SGLang, OpenRouter, Groq. llama.cpp has it among `meta`.
_FIELDS = ("max_model_len", "context_length", "context_window")


class UpstreamWindow:
    """What is known of one model's window; `tokens` is 0 while it is not known."""

    def __init__(self, tokens: int = 0) -> None:
        self.tokens = tokens
        self._tokens_per_byte = 0.0

    def read(self, entry: Mapping[str, Any]) -> None:
        """Take the window from the model's entry in the upstream's list, unless the user has set it."""
        meta = entry.get("meta")
        found = (
            *(entry.get(name) for name in _FIELDS),
            meta.get("n_ctx") if isinstance(meta, dict) else None,
        )
        self.tokens = self.tokens or next((n for n in found if type(n) is int and n > 0), 0)

    def measured(self, body: Mapping[str, Any], prompt_tokens: int) -> None:
        """Learn from a prompt that the upstream has counted."""
        size = _size(body)
        if size >= _LEARNT_FROM and prompt_tokens:
            self._tokens_per_byte = prompt_tokens / size

    def estimate(self, body: Mapping[str, Any]) -> int:
        """The tokens of this prompt by the last one that the upstream counted, 0 if it has counted none."""
        return round(_size(body) * self._tokens_per_byte)

    def left_for(self, body: Mapping[str, Any]) -> int:
        """The most that `max_tokens` of this request may be, 0 where it is not known."""
        if not (self.tokens and self._tokens_per_byte and body.get("max_tokens")):
            return 0
        prompt = int(self.estimate(body) * _MARGIN)
        left = self.tokens - prompt
        return left if left >= _LEAST else 0

    def left_after(self, overflow: ContextOverflow, max_tokens: int) -> int:
        """What a refusal says is left for the answer; 0 if the prompt alone does not fit."""
        prompt, limit = overflow.prompt_tokens, overflow.limit
        if not 0 < prompt < limit:
            return 0
        self.tokens = limit
        return limit - prompt if limit - prompt < max_tokens else 0


def _size(body: Mapping[str, Any]) -> int:
    """Bytes of what becomes the prompt, without pictures."""
    return len(encode_json([body.get("tools"), body.get("messages")])) - sum(
        len(url) for url in _picture_urls(body.get("messages") or ())
    )


def _picture_urls(messages: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for message in messages:
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if part.get("type") == "image_url":
                yield part["image_url"]["url"]

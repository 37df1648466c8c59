"""How servers say that an answer has ended, and which of their words make it a whole one.

Words of OpenAI, vLLM, SGLang, llama.cpp, LM Studio, Ollama, TGI, TensorRT-LLM, mlx-lm, and of the vendors
whose own words gateways pass on (Anthropic, Gemini, Cohere, Mistral, DeepSeek, Zhipu, watsonx). Only a known
good end is a good end: half of an answer may hold half of a call, and half of a call can be repaired into one
that the model never wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.backends.upstream import FinishReason
from proxy.events.errors import UpstreamError, UpstreamFailed, UpstreamUnavailable

_GOOD: Mapping[FinishReason, tuple[str, ...]] = {
    "stop": (
        *(
            "stop",
            "eos",
            "eos_token",
            "eos_found",
            "end_id",
            "end_turn",
            "end_of_turn",
            "complete",
            "completed",
        ),
        *("stop_sequence", "stop_string_found", "stop_words", "stop_token"),
    ),
    "tool_calls": ("tool_calls", "tool_call", "tool_use", "function_call", "function_calls"),
    "length": (
        *("length", "max_tokens", "max_length", "max_output_tokens", "max_new_tokens", "token_limit"),
        "max_predicted_tokens_reached",
    ),
    "context_length": (
        *("model_length", "context_length", "context_length_reached", "context_length_exceeded"),
        "model_context_window_exceeded",
    ),
    "content_filter": (
        *(
            "content_filter",
            "content_filtered",
            "refusal",
            "guardrail_intervened",
            "sensitive",
            "error_toxic",
        ),
        *("safety", "recitation", "blocklist", "prohibited_content", "spii", "language"),
    ),
    "repetition": ("repetition",),
}
_REASONS = {word.replace("_", ""): reason for reason, words in _GOOD.items() for word in words}

# The server, or its operator, ended the answer: the next try may succeed.
_BROKEN_OFF = frozenset(
    word.replace("_", "")
    for word in (
        *("abort", "aborted", "cancel", "cancelled", "canceled", "interrupted", "incomplete", "not_finished"),
        *("insufficient_system_resource", "network_error", "timeout", "time_limit"),
        *("load", "unload", "model_unloaded", "user_stopped"),
    )
)
# What it made was no answer.
_FAILED = frozenset(
    word.replace("_", "")
    for word in (
        *("error", "failed", "unknown", "other", "finish_reason_unspecified"),
        *("malformed_function_call", "unexpected_tool_call", "too_many_tool_calls"),
    )
)


def is_unset(word: Any) -> bool:
    """Whether a `finish_reason` is none: some write JSON's null, or Python's None, as text in every chunk."""
    return not word or _normal(word) in ("null", "none")


def reason_of(word: Any) -> FinishReason | None:
    """The end that a `finish_reason` names; None for one that is not known to be good."""
    return _REASONS.get(_normal(word))


def is_known_fault(word: Any) -> bool:
    """Whether a word says that the answer is no whole one, whatever is said beside it."""
    return _normal(word) in _BROKEN_OFF | _FAILED


def fault_of_end(word: Any, who: str) -> UpstreamError:
    """The error for an answer that ended with a word that is not known to be good."""
    normal = _normal(word)
    if normal in _BROKEN_OFF:
        return UpstreamUnavailable(
            f"{who} broke off its answer (finish_reason {word!r}); please retry", cause="answer broken off"
        )
    if normal in _FAILED:
        return UpstreamFailed(
            f"{who} failed in the middle of its answer (finish_reason {word!r}); please retry"
        )
    return UpstreamFailed(
        f"{who} ended its answer with the unknown finish_reason {word!r}: it may not be whole; please retry,"
        " and report the word if this server always ends so"
    )


def _normal(word: Any) -> str:
    """One spelling for `STOP`, `tool-calls`, `eosFound` and `{"type": "stop"}`."""
    if isinstance(word, dict):
        word = word.get("type")
    return "".join(filter(str.isalnum, word.lower())) if isinstance(word, str) else ""

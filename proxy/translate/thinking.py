"""Thinking in requests and answers: when it is shown, and how it survives a client that hides it.

Claude Code asks for thinking with `display: omitted`: the block comes empty, with a signature, and is sent
back as it was. Clients replay signatures unread, so ours carries the thinking text itself (zlib, base64).
History then renders with the very tokens the model generated, across restarts of the proxy.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass
from typing import Any

from engine.wire.thinking_budget import EFFORT_TOKENS, within_limit
from proxy.backends.upstream import ThinkingControl

_MARK = "anyclaude1."
_ENABLED = ("enabled", "adaptive", "between_tools")
_EFFORTS_OF_BUDGETS = ((4096, "low"), (16_384, "medium"))  # tokens
_MAX_THINKING_BYTES = 8 * 2**20  # a forged signature must not unpack without end


@dataclass(frozen=True, slots=True)
class ThinkingMode:
    """`enabled`: thinking blocks are sent; `shown`: with their text, else only with the signature.

    `budget`: tokens that the client grants it, 0 for no limit of its own.
    """

    enabled: bool = False
    shown: bool = True
    budget: int = 0


def thinking_mode(body: dict[str, Any]) -> ThinkingMode:
    """What a request body says about thinking; anything that it does not know counts as disabled."""
    thinking = body.get("thinking")
    if not isinstance(thinking, dict) or thinking.get("type") not in _ENABLED:
        return ThinkingMode()
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int) or isinstance(budget, bool):
        budget = 0
    return ThinkingMode(True, thinking.get("display") != "omitted", max(0, budget))


def thinking_fields(
    mode: ThinkingMode,
    effort: str,
    control: ThinkingControl,
    *,
    limit: int,
    is_begun: bool,
    limits: bool = True,
) -> dict[str, Any]:
    """What an upstream is told about thinking, in fields of its own.

    `effort` is the client's, "" for none; `limit` are the most tokens of the answer, 0 if it has none.
    `is_begun`: the client has begun the answer, which comes behind all thinking. Without `limits` no number
    of tokens is sent.

    Fields of vLLM 0.32, SGLang 0.5.23 (which heeds the budget with `--enable-strict-thinking` only),
    llama.cpp of October 2026 (tried), Ollama of August 2026, which has efforts only, and of the references of
    OpenRouter and OpenAI.
    """
    thinks = mode.enabled and not is_begun
    word = _effort_word(effort, mode.budget)
    budget = mode.budget or EFFORT_TOKENS.get(effort, EFFORT_TOKENS["high"])
    match control:
        case "":
            return {}
        case "openrouter":
            wanted = {"max_tokens": mode.budget} if mode.budget else {"effort": word or "medium"}
            return {"reasoning": wanted} if mode.enabled else {}
        case "openai":
            return {"reasoning_effort": word} if mode.enabled and word else {}
        case "ollama":
            word = word if thinks else "none"
            return {"reasoning_effort": word} if word else {}
    fields: dict[str, Any] = {"chat_template_kwargs": {"enable_thinking": thinks}}
    if control == "engine":
        if mode.budget:
            fields["chat_template_kwargs"]["thinking_budget"] = mode.budget
        fields |= {"reasoning_effort": word} if word else {}
        return fields | ({"thinking_token_budget": budget} if thinks else {})
    if not thinks:
        return fields
    tokens = within_limit(budget, limit) if limit else budget
    fields |= {"reasoning_effort": word} if word else {}
    if not limits:
        return fields
    if control == "vllm":
        return fields | {"thinking_token_budget": tokens}
    if control == "sglang":
        return fields | {"custom_params": {"thinking_budget": tokens}}
    return fields | {"thinking_budget_tokens": tokens}


def _effort_word(effort: str, budget: int) -> str:
    """The effort in the three words that models know; a budget alone says it in tokens."""
    if effort in ("low", "medium", "high"):
        return effort
    if effort in ("xhigh", "max"):
        return "high"
    if not budget:
        return ""
    return next((word for most, word in _EFFORTS_OF_BUDGETS if budget < most), "high")


def sign(thinking: str) -> str:
    """The signature of a thinking block."""
    packed = zlib.compress(thinking.encode("utf-8", "replace"))
    return _MARK + base64.b64encode(packed).decode("ascii")


def thinking_text(block: dict[str, Any]) -> str:
    """The text of a thinking block of history: its own, else the one in our signature, else empty."""
    text = block.get("thinking")
    if isinstance(text, str) and text:
        return text
    signature = block.get("signature")
    if not isinstance(signature, str) or not signature.startswith(_MARK):
        return ""
    try:
        packed = base64.b64decode(signature[len(_MARK) :], validate=True)
        return zlib.decompressobj().decompress(packed, _MAX_THINKING_BYTES).decode("utf-8", "replace")
    except (binascii.Error, zlib.error):
        return ""

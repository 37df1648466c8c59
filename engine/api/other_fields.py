"""What OpenAI's API has and this engine does not: refused where the answer would have another form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.api.json_body import InvalidChatRequest
from engine.api.requests import ChatRequest

REFUSED: Mapping[str, str] = {
    "audio": "answers are text; leave it out",
    "functions": "the older form of tools; send tools",
    "function_call": "the older form of tool_choice; send tool_choice",
    "web_search_options": "this engine searches nothing; give the model a tool for it",
}
"""Fields that an answer cannot do without, and what to do instead."""

OTHER_PATHS: Mapping[str, str] = {
    "/v1/completions": "use /v1/chat/completions",
    "/v1/responses": "use /v1/chat/completions, with all messages of the conversation",
    "/v1/embeddings": "this engine generates text; another server has to make embeddings",
    "/v1/files": "put the text of the file into a message",
    "/v1/batches": "send each request of the batch to /v1/chat/completions",
}
"""OpenAI's other paths, and what to do instead."""

# `user` and the like ask nothing of the answer. `add_generation_prompt` comes with `continue_final_message`.
_UNNOTED = frozenset({"user", "metadata", "safety_identifier", "add_generation_prompt"})
_READ = frozenset(ChatRequest.model_fields) - {"choice"}


def refuse_other_fields(body: Mapping[str, Any]) -> None:
    """Refuse what would change the form of the answer.

    Raises:
        InvalidChatRequest: the body asks for it.
    """
    for name, why in REFUSED.items():
        if body.get(name) not in (None, [], {}):
            raise InvalidChatRequest(
                f"{name}: not supported: {why}", param=name, code="unsupported_parameter"
            )
    kinds = body.get("modalities")
    if isinstance(kinds, list) and any(kind != "text" for kind in kinds):
        raise InvalidChatRequest(
            "modalities: not supported: answers are text; leave it out",
            param="modalities",
            code="unsupported_value",
        )
    count = body.get("n")
    if isinstance(count, int) and count > 1:
        raise InvalidChatRequest(
            f"n: a request gets one answer here, not {count}; send it {count} times, which its prompt's cache"
            " makes cheap",
            param="n",
            code="unsupported_value",
        )


def left_out(body: Mapping[str, Any]) -> list[str]:
    """A note on the fields that nothing is made of."""
    names = sorted(
        name
        for name, value in body.items()
        if value is not None and name not in _READ and name not in _UNNOTED and name not in REFUSED
    )
    if body.get("modalities") == ["text"]:
        names.remove("modalities")
    return [f"left out fields that mean nothing to this engine: {', '.join(names)}"] if names else []

"""An answer that the client has begun: with `continue_final_message` the last message is continued.

The field is that of vLLM and `transformers`. The prompt is that of the messages before it, up to the answer,
and the text of the last message. The answer has only what is new.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from engine.api.json_body import InvalidChatRequest
from engine.api.requests import ChatRequest
from engine.prompts.rendering import RenderedPrompt
from engine.wire.chat import content_text

_PARAM = "continue_final_message"


def begun_answer(chat: ChatRequest, tokenizer: Any) -> str:
    """The text that the answer begins with; empty for an answer of the model alone.

    Raises:
        InvalidChatRequest: the last message is no answer that can be continued.
    """
    if not chat.continue_final_message:
        return ""
    last = chat.messages[-1]
    if last["role"] != "assistant" or last.get("tool_calls") or len(chat.messages) == 1:
        raise InvalidChatRequest(
            f"{_PARAM}: the last message must be an answer of text, behind another message", param=_PARAM
        )
    if chat.answer_schema is not None:
        raise InvalidChatRequest(f"{_PARAM} and response_format exclude each other", param=_PARAM)
    text = content_text(last.get("content"))
    for mark in (*tokenizer.structural_markers, *tokenizer.all_special_tokens):
        if mark in text:
            raise InvalidChatRequest(
                f"{_PARAM}: the last message has {mark!r}, a control token of this model", param="messages"
            )
    return text


def continued(
    prompt: RenderedPrompt,
    text: str,
    marks: tuple[str, str] | None,
    encode: Callable[[str], list[int]],
) -> RenderedPrompt:
    """The prompt with the beginning of its answer behind it; a thought that it opens is closed first.

    `marks` are those of the model's thinking.
    """
    close = f"\n{marks[1]}\n\n" if prompt.opens_thinking and marks else ""
    return replace(
        prompt,
        text=f"{prompt.text}{close}{text}",
        tokens=[*prompt.tokens, *(encode(close) if close else []), *encode(text)],
        opens_thinking=False,
        starts=None,  # the answer by itself is no message that a later prompt has
    )

"""A model's chat template and tokenizer, combined so that content stays text.

The rendered text has stand-ins wherever a client's text spells a control token
(`engine.prompts.encoding.control_tokens`): `apply` returns text for `encode`, and `clear` turns it into what
the model reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.prompts.chat_template import template_text
from engine.prompts.encoding.content_guard import ContentGuard
from engine.prompts.encoding.control_tokens import control_tokens
from engine.prompts.encoding.guarded_encoding import GuardedEncoder
from engine.wire.chat import Message

_CLOCK = (
    "{%- macro strftime_now(format) -%}{%- set ns = namespace(text=format) -%}{%- for one, text in TEXTS -%}"
    "{%- set ns.text = ns.text.replace(one, text) -%}{%- endfor -%}{{- ns.text -}}{%- endmacro %}\n"
)
_DIRECTIVE = re.compile(r"%[-_0^#]?[A-Za-z]")
THINKING_FIELDS = ("reasoning_content", "reasoning", "thinking", "part")
"""Where templates read an answer's thinking: a field of the message, or a part of its content."""


@dataclass(frozen=True, slots=True)
class MessageForm:
    """The form in which a template reads messages: text content as a list of parts, and where thinking is."""

    content_parts: bool = False
    thinking_field: str = THINKING_FIELDS[0]

    def of(self, message: Message) -> Message:
        """A message with text content and `reasoning_content` in this form."""
        formed = dict(message)
        if self.thinking_field != THINKING_FIELDS[0] and "reasoning_content" in formed:
            thinking = formed.pop("reasoning_content")
            if self.thinking_field == "part":
                said = formed.get("content") or ""
                parts: list[dict[str, Any]] = [{"type": "thinking", "thinking": thinking}]
                formed["content"] = [*parts, {"type": "text", "text": said}] if said else parts
            else:
                formed[self.thinking_field] = thinking
        if self.content_parts and isinstance(formed.get("content"), str):
            formed["content"] = [{"type": "text", "text": formed["content"]}]
        return formed


class GuardedTemplate:
    """Renders and tokenizes conversations; only the template writes control tokens.

    `form` is the form of messages that the template reads, `day` the time that it writes.
    """

    def __init__(self, tokenizer: Any, transcript: Callable[[Sequence[Message]], str]) -> None:
        """`tokenizer` is mlx-lm's wrapper; `transcript` renders for a model without a template."""
        self._tokenizer = tokenizer
        self._transcript = transcript
        self.form = MessageForm()
        self.day = datetime(2026, 1, 1)
        self.source = _source(tokenizer)
        self._dated = "strftime_now" in (self.source or "")
        self._control = control_tokens(tokenizer, self.source)
        self._guard = ContentGuard(self._control, self.source)
        self.encode = GuardedEncoder(self._encode, self.decode, self._control)
        """Token ids of text: control tokens are recognised unless masked; none is added."""

    def apply(self, messages: Sequence[Message], tools: list[dict[str, Any]] | None, **options: Any) -> str:
        """The text of a conversation, with stand-ins; raises whatever the template raises."""
        return self._guard.render(self.apply_unmasked, list(messages), tools, **options)

    def transcript(self, messages: Sequence[Message]) -> str:
        """The text of a conversation without the template, with stand-ins."""
        return self._guard.render(lambda masked, _: self._transcript(masked), list(messages), None)

    def apply_unmasked(
        self,
        messages: list[Message],
        tools: list[dict[str, Any]] | None,
        add_generation_prompt: bool = True,
        **template_kwargs: Any,
    ) -> str:
        """The rendered messages, without masking."""
        if not self._tokenizer.has_chat_template:
            return self._transcript(messages)
        if self._dated and (dated := self._dated_source(bool(tools))):
            template_kwargs = {"chat_template": dated} | template_kwargs
        text = self._tokenizer.apply_chat_template(
            [self.form.of(message) for message in messages],
            tools=tools,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            **template_kwargs,
        )
        return str(text)

    def _dated_source(self, tools: bool) -> str:
        """The source of the template behind a clock of its own, which shows the day; empty if it is unknown.

        A macro, since a template may compute the format, and transformers passes no functions on.
        """
        source = getattr(self._tokenizer, "chat_template", None)
        if isinstance(source, dict):  # transformers chooses so
            source = source["tool_use"] if tools and "tool_use" in source else source.get("default")
        if not isinstance(source, str):
            return ""
        used = sorted(set(_DIRECTIVE.findall(source)))
        texts = [(one, self.day.strftime(one)) for one in used]
        return _CLOCK.replace("TEXTS", json.dumps([*texts, ("%%", "%")])) + source

    def mask(self, text: str) -> str:
        """A client's text with stand-ins where it spells a control token."""
        return self._control.masked(text)

    def clear(self, text: str) -> str:
        """The text without stand-ins; its length is unchanged."""
        return self._control.clear(text)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, control tokens included."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=False))

    def decode_masked(self, tokens: Sequence[int]) -> str:
        """The text of generated tokens, with stand-ins where ordinary tokens spell a control token."""
        text = ""
        plain: list[int] = []
        for token in tokens:
            if token in self._control.ids:
                text += self._masked(plain) + self.decode([token])
                plain = []
            else:
                plain.append(token)
        return text + self._masked(plain)

    def leaks(self, text: str) -> list[str]:
        """Notes on the control tokens that a client's text spells and the tokenizer always reads."""
        seen = [token for token in self.encode.leaks if self._control.masked(token) in text]
        return [f"a text spells {token}; this tokenizer reads it as that control token" for token in seen]

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _masked(self, tokens: list[int]) -> str:
        return self._control.masked(self.decode(tokens)) if tokens else ""


def _source(tokenizer: Any) -> str | None:
    """The source of the chat template, or of all of them; None if it is a program."""
    if getattr(tokenizer, "_chat_template", None) is not None:  # mlx-lm's own
        return None
    return template_text(tokenizer) or (None if tokenizer.has_chat_template else "")

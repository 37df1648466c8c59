"""A model's chat template and tokenizer, combined so that content stays text.

The rendered text has stand-ins wherever a client's text spells a control token
(`engine.prompts.encoding.control_tokens`): `apply` returns text for `encode`, and `clear` turns it into what
the model reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from engine.prompts.chat_template import own_variables, template_text
from engine.prompts.encoding.content_guard import ContentGuard
from engine.prompts.encoding.control_tokens import control_tokens
from engine.prompts.encoding.guarded_encoding import GuardedEncoder
from engine.prompts.message_form import MessageForm, TurnsAlone, with_texts_placed
from engine.prompts.template_traits import Render
from engine.wire.chat import Message

_CLOCK = (
    "{%- macro strftime_now(format) -%}{%- set ns = namespace(text=format) -%}{%- for one, text in TEXTS -%}"
    "{%- set ns.text = ns.text.replace(one, text) -%}{%- endfor -%}{{- ns.text -}}{%- endmacro %}\n"
)
_DIRECTIVE = re.compile(r"%[-_0^#]?[A-Za-z]")
_SET_FIELDS = (
    "{%- set given = namespace(messages=[]) -%}{%- for message in messages -%}"
    "{%- set given.messages = given.messages + [namespace(message)] -%}{%- endfor -%}"
    "{%- set messages = given.messages -%}\n"
)


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
        begin, end = (str(getattr(tokenizer, f"{name}_token", None) or "") for name in ("bos", "eos"))
        self._alone = TurnsAlone(self._given, self._marks, begin, end)
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
        render: Render = self._given
        if self.form.turns_alone:
            render = partial(self._alone.render, self.form.turns_alone == "plain")
        if self.form.texts_placed:
            render = with_texts_placed(render)
        return render(messages, tools, add_generation_prompt=add_generation_prompt, **template_kwargs)

    def _given(
        self,
        messages: Sequence[Message],
        tools: list[dict[str, Any]] | None,
        add_generation_prompt: bool = True,
        **template_kwargs: Any,
    ) -> str:
        """What the template writes for messages in their form."""
        if (self._dated or self.form.fields_set) and (source := self._changed_source(bool(tools))):
            template_kwargs = {"chat_template": source} | template_kwargs
        template_kwargs = own_variables(self.source or "", tools, self.day) | template_kwargs
        text = self._tokenizer.apply_chat_template(
            [self.form.of(message) for message in messages],
            tools=tools,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            **template_kwargs,
        )
        return str(text)

    def _changed_source(self, tools: bool) -> str:
        """The source of the template behind what it needs: a clock that shows the day, or messages whose
        fields it can set; empty if the source is unknown.

        The clock is a macro, since a template may compute the format, and transformers passes no functions
        on.
        """
        source = getattr(self._tokenizer, "chat_template", None)
        if isinstance(source, dict):  # transformers chooses so
            source = source["tool_use"] if tools and "tool_use" in source else source.get("default")
        if not isinstance(source, str):
            return ""
        if self.form.fields_set:
            source = _SET_FIELDS + source
        if not self._dated:
            return source
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

    def _marks(self, text: str) -> Iterator[str]:
        return (found[0] for found in self._control.pattern.finditer(text))

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

"""Finds how conversations must be given to a model's chat template, by rendering probes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from engine.prompts.guarded_template import GuardedTemplate, MessageForm
from engine.prompts.probing.proof import Proof
from engine.prompts.template_traits import TemplateTraits, probe_template
from engine.prompts.tool_texts import ToolTexts
from engine.wire.chat import Message

SELECTION = "anyclaude: a selection"
"""In a template's comment: it leaves content out on purpose, and nothing is adapted to it."""

_WORD = "probebravo"


def find_traits(
    template: GuardedTemplate,
    texts: ToolTexts,
    marks: tuple[str, str] | None,
    encode: Callable[[str], list[int]],
    special: frozenset[int],
) -> TemplateTraits:
    """The traits of a template, and the changes with which it shows all parts of a conversation.

    `marks` are those of the model's thinking. Sets the form of messages of `template`.
    """
    parts = _needs_parts(template)
    template.form = MessageForm(parts)

    def set_field(field: str) -> None:
        template.form = MessageForm(parts, field)

    traits = probe_template(
        template.apply, template_text=template.source or "", encode=encode, special=special
    )
    if SELECTION in (template.source or ""):
        return dataclasses.replace(traits, content_parts=parts)
    traits = dataclasses.replace(traits, content_parts=parts, tools_as_text=not traits.tools_rendered)
    return Proof(template.apply, set_field, texts).improved(traits, marks)


def _needs_parts(template: GuardedTemplate) -> bool:
    """Whether a question is rendered only as a list of parts."""
    shown = []
    for form in (MessageForm(), MessageForm(content_parts=True)):
        template.form = form
        shown.append(_shows(template, [{"role": "user", "content": _WORD}]))
    return shown == [False, True]


def _shows(template: GuardedTemplate, messages: list[Message]) -> bool:
    try:
        return _WORD in template.apply(messages, None)
    except Exception:  # a template may raise anything about its input
        return False

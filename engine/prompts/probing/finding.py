"""Finds how conversations must be given to a model's chat template, by rendering probes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator

from engine.prompts.guarded_template import GuardedTemplate
from engine.prompts.message_form import MessageForm
from engine.prompts.probing.proof import Lack, Proof
from engine.prompts.template_traits import TemplateTraits, probe_template
from engine.prompts.tool_texts import ToolTexts
from engine.wire.chat import Message

SELECTION = "anyclaude: a selection"
"""In a comment of a template: it leaves content out on purpose, so nothing is adapted to it."""

_WORD = "probebravo"
_SET_FIELD = re.compile(r"\{%-?\s*set\s+(?:message|msg|m|turn)\.\w+\s*=")


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
    source = template.source or ""
    plain = MessageForm(_needs_parts(template))

    def probed(form: MessageForm) -> TemplateTraits:
        template.form = form
        traits = probe_template(template.apply, template_text=source, encode=encode, special=special)
        return dataclasses.replace(traits, **dataclasses.asdict(form))

    def proven(form: MessageForm) -> tuple[int, TemplateTraits, Lack]:
        traits, proof = probed(form), Proof(template, texts, source)
        traits = proof.improved(dataclasses.replace(traits, tools_as_text=not traits.tools_rendered), marks)
        return proof.losses(traits), traits, proof.lack(traits)

    if SELECTION in source:
        return dataclasses.replace(probed(plain), selects=True)
    best = proven(plain)
    if not _shows(template, [{"role": "user", "content": _WORD}]):
        return best[1]
    for form in _other_forms(plain, source, best[2]):
        best = min(best, proven(form), key=lambda one: one[0])
        if best[2] in (Lack.NOTHING, Lack.CALLS):
            break
    template.form = MessageForm.of_traits(best[1])
    return best[1]


def _other_forms(plain: MessageForm, source: str, lack: Lack) -> Iterator[MessageForm]:
    """The forms to try for a template that lacks something, the most common first."""
    if lack is Lack.NOTHING:
        return
    if _SET_FIELD.search(source):
        yield dataclasses.replace(plain, fields_set=True)
    if lack is not Lack.TURNS:
        yield dataclasses.replace(plain, texts_placed=True)
    if lack is not Lack.CALLS:
        for placed in (True,) if lack is Lack.TEXTS else (False, True):
            yield dataclasses.replace(plain, turns_alone="own", texts_placed=placed)
            yield dataclasses.replace(plain, turns_alone="plain", texts_placed=placed)


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

"""The adaptations that make a chat template show everything, proven on conversations of every shape.

`engine.prompts.template_traits` finds how a template accepts messages, trait by trait. Traits can depend on
each other: text may be rendered beside a call, and refused beside a call with thinking. So whole
conversations are rendered with the traits that were found. While parts of them are refused, missing or
misplaced, the change that brings most of them to their place is added.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any

from engine.prompts.guarded_template import THINKING_FIELDS
from engine.prompts.message_preparation import prepare_messages
from engine.prompts.probing.conversations import TOOL_WORDS, ProofConversation, probes
from engine.prompts.template_traits import PROBE_TOOL, Render, TemplateTraits
from engine.prompts.tool_texts import ToolTexts, with_system

_MAX_CHANGES = 6
_MISSING = 3  # as bad as this many misplaced words
_NATIVE_TURNS = 12  # misplaced words weigh less than calls and results in the template's own form
_PART = re.compile(r"""['"]thinking['"]: """)

PLAIN_THINKING = (("<think>", "</think>"), ("<thinking>", "</thinking>"), ("(I thought:", ")"))
"""Marks around thinking that a template has no place for; the last ones are for templates that drop tags."""

_CHANGES: tuple[dict[str, Any], ...] = (
    {"thought_with_calls": False},
    {"call_text": "before"},
    {"call_text": "before", "thought_with_calls": False},
    {"parallel_calls": False},
    {"user_after_result": False},
    {"repeated_roles": False},
    {"orphan_results": False},
    {"unanswered_calls": False},
    {"assistant_first": False},
    {"empty_answers": False},
    {"system_in_place": False},
    {"first_system": False, "system_in_place": False},
    {"tools_need_system": True},
    {"call_text": "result"},
    {"tools_as_text": True},
    {"tool_turns": False, "repeated_roles": False},
    {"tool_turns": False, "repeated_roles": False, "tools_as_text": True},
)


class Proof:
    """Renders the probe conversations of one template; `losses` counts what is not in its place."""

    def __init__(self, render: Render, form: Any, texts: ToolTexts) -> None:
        """`form` sets the field for thinking in which `render` gives messages to the template."""
        self._render = render
        self._set_field = form
        self._texts = texts
        self._probes = tuple(probes())
        self._without_turns = 0

    def improved(self, traits: TemplateTraits, marks: tuple[str, str] | None) -> TemplateTraits:
        """The traits with the changes that bring most parts to their place; `marks` are of thinking."""
        self._without_turns = _NATIVE_TURNS if traits.tool_turns else 0
        losses = self.losses(traits)
        for _ in range(_MAX_CHANGES):
            if not losses:
                break
            best, found = losses, traits
            for change in _changes(traits, marks):
                changed = dataclasses.replace(traits, **change)
                count = self.losses(changed, most=best)
                if count < best:
                    best, found = count, changed
                if not best:
                    break
            if found is traits:
                break
            losses, traits = best, found
        self._set_field(traits.thinking_field)
        return traits

    def losses(self, traits: TemplateTraits, most: int = 1 << 30) -> int:
        """The words that are refused, missing or misplaced, by weight; counted up to `most`."""
        self._set_field(traits.thinking_field)
        lost = 0 if traits.tool_turns else self._without_turns
        for probe in self._probes:
            lost += self._lost(probe, traits)
            if lost >= most:
                break
        return lost

    def _lost(self, probe: ProofConversation, traits: TemplateTraits) -> int:
        messages: Sequence[Any] = probe.messages
        tools: list[dict[str, Any]] | None = [PROBE_TOOL]
        if traits.tools_as_text:
            messages, tools = self._texts.with_tools(messages, tools), None
        elif traits.tools_need_system:
            messages = with_system(messages)
        try:
            text = self._render(prepare_messages(messages, traits, self._texts).messages, tools)
        except Exception:  # a template may raise anything about its input
            return 2 * _MISSING * len(probe.words)
        if traits.thinking_field == "part" and _PART.search(text):
            return 2 * _MISSING * len(probe.words)  # the template wrote a list as it is
        missing, misplaced = probe.losses(text)
        if traits.call_text == "result":  # text is put into its place where the prompt is composed
            misplaced = min(misplaced, 1)
        # A template that names tools without describing them, as the bundled model's, does so on purpose.
        named = TOOL_WORDS[0] in text
        return _MISSING * (missing + (0 if named else len(TOOL_WORDS))) + misplaced


def _changes(traits: TemplateTraits, marks: tuple[str, str] | None) -> Iterator[dict[str, Any]]:
    """What may be changed, the smallest change first."""
    yield from ({"thinking_field": field} for field in THINKING_FIELDS)
    own = (marks,) if marks and marks not in PLAIN_THINKING else ()
    yield from ({"thinking_text": written} for written in (*own, *PLAIN_THINKING))
    yield from ({"thinking_text": written, "call_text": "before"} for written in PLAIN_THINKING)
    for change in _CHANGES:
        if traits.tools_rendered and "tools_as_text" in change:
            continue
        if any(getattr(traits, name) != value for name, value in change.items()):
            yield change

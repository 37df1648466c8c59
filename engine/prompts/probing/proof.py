"""The adaptations that make a chat template show everything, proven on conversations of every shape.

`engine.prompts.template_traits` finds how a template accepts messages, trait by trait. Traits can depend on
each other: text may be rendered beside a call, and refused beside a call with thinking. So whole
conversations are rendered with the traits that were found. While parts of them are refused, missing or
misplaced, the change that brings most of them to their place is added.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import re
from collections.abc import Iterator, Sequence
from typing import Any

from engine.prompts.guarded_template import GuardedTemplate
from engine.prompts.message_form import THINKING_FIELDS, MessageForm
from engine.prompts.message_preparation import prepare_messages
from engine.prompts.probing.conversations import ProofConversation, long_probe, probes
from engine.prompts.template_traits import TemplateTraits
from engine.prompts.tool_texts import ToolTexts, with_system

_MAX_CHANGES = 6
_MISSING = 16  # as bad as this many misplaced words, and worse than a form that is not its own
_OWN_FORM = 12  # misplaced words weigh less than calls and results, or tools, in the template's own form
_PART = re.compile(r"""['"]thinking['"]: """)

PLAIN_THINKING = (("<think>", "</think>"), ("<thinking>", "</thinking>"), ("(I thought:", ")"))
"""Marks around thinking that a template has no place for; the last ones are for templates that drop tags."""

_CALLS_AS_TEXT: dict[str, Any] = {"tool_turns": False, "repeated_roles": False}
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
    {"needs_system": True},
    {"call_text": "result"},
    {"tools_as_text": True},
    _CALLS_AS_TEXT,
    {**_CALLS_AS_TEXT, "tools_as_text": True},
)


class Lack(enum.Enum):
    """What a template does not show as it should."""

    NOTHING = enum.auto()
    CALLS = enum.auto()  # calls and results in the template's own form; they are text
    TEXTS = enum.auto()  # what stands behind the first words of long texts
    TURNS = enum.auto()  # whole turns, perhaps also long texts


class Proof:
    """Renders the probe conversations of one template; `losses` counts what is not in its place."""

    def __init__(self, template: GuardedTemplate, texts: ToolTexts, source: str) -> None:
        """`source` is the template's; its numbers show where it may shorten what it is given."""
        self._template = template
        self._texts = texts
        self._probes = (*probes(), long_probe(source))
        self._without_turns = self._without_tools = 0

    def improved(self, traits: TemplateTraits, marks: tuple[str, str] | None) -> TemplateTraits:
        """The traits with the changes that bring most parts to their place; `marks` are of thinking."""
        self._without_turns = _OWN_FORM if traits.tool_turns else 0
        self._without_tools = _OWN_FORM if traits.tools_rendered else 0
        losses = self.losses(traits)
        for _ in range(_MAX_CHANGES):
            if not losses:
                break
            worst = functools.partial(self._weight, traits=traits)  # shows first that a change does not help
            self._probes = tuple(sorted(self._probes, key=worst, reverse=True))
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
        return traits

    def lack(self, traits: TemplateTraits) -> Lack:
        """What the template does not show, though it is given conversations for these traits."""
        missing, later, misplaced = set[str](), set[str](), 0
        for probe in self._probes:
            words, count = self._found(probe, traits)
            missing.update(words)
            later |= probe.later
            misplaced += count
        if missing - later or misplaced >= _OWN_FORM:
            return Lack.TURNS
        if missing:
            return Lack.TEXTS
        return Lack.CALLS if self._without_turns and not traits.tool_turns else Lack.NOTHING

    def losses(self, traits: TemplateTraits, most: int = 1 << 30) -> int:
        """The words that are refused, missing or misplaced, by weight; counted up to `most`."""
        lost = 0 if traits.tool_turns else self._without_turns
        lost += self._without_tools if traits.tools_as_text else 0
        for probe in self._probes:
            lost += self._weight(probe, traits)
            if lost >= most:
                break
        return lost

    def _weight(self, probe: ProofConversation, traits: TemplateTraits) -> int:
        missing, misplaced = self._found(probe, traits)
        return _MISSING * len(missing) + misplaced

    def _found(self, probe: ProofConversation, traits: TemplateTraits) -> tuple[Sequence[str], int]:
        """The words of a conversation that are missing, twice for a refusal, and how many are misplaced."""
        self._template.form = MessageForm.of_traits(traits)
        messages: Sequence[Any] = probe.messages
        tools: list[dict[str, Any]] | None = list(probe.tools)
        if traits.tools_as_text:
            messages, tools = self._texts.with_tools(messages, tools), None
        if traits.needs_system or (tools and traits.tools_need_system):
            messages = with_system(messages, tools)
        try:
            prepared = prepare_messages(messages, traits, self._texts).messages
            text = self._template.apply(prepared, tools, **traits.fixed_kwargs)
        except Exception:  # a template may raise anything about its input
            return 2 * probe.words, 0
        if traits.thinking_field == "part" and _PART.search(text):
            return 2 * probe.words, 0  # the template wrote a list as it is
        misplaced = probe.misplaced(text)
        if traits.call_text == "result":  # text is put into its place where the prompt is composed
            misplaced = min(misplaced, 1)
        return probe.missing(text), misplaced


def _changes(traits: TemplateTraits, marks: tuple[str, str] | None) -> Iterator[dict[str, Any]]:
    """What may be changed, the smallest change first."""
    yield from ({"thinking_field": field} for field in THINKING_FIELDS)
    own = (marks,) if marks and marks not in PLAIN_THINKING else ()
    yield from ({"thinking_text": written} for written in (*own, *PLAIN_THINKING))
    yield from ({"thinking_text": written, "call_text": "before"} for written in PLAIN_THINKING)
    yield from ({"thinking_text": written, **_CALLS_AS_TEXT} for written in (*own, *PLAIN_THINKING[:1]))
    for change in _CHANGES:
        if any(getattr(traits, name) != value for name, value in change.items()):
            yield change

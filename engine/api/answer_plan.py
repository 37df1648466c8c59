"""How one model writes tool calls, and what a request asks of its answer: the grammar and how to read it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.answers.pieces import AnswerStyle
from engine.api.requests import ChatRequest
from engine.constrained.answer_grammar import ANSWER, AnswerRules
from engine.constrained.grammar import CompiledGrammar, Grammars, GrammarUnavailable, token_bytes
from engine.constrained.thinking_cap import ThinkingCap, ThinkingMarks, thinking_marks_of
from engine.prompts.chat_template import template_of, template_text
from engine.prompts.model_forms import ModelForms, model_forms
from engine.tool_calls.families.template_probe import PROBE_TOOLS, written_call
from engine.tool_calls.quoted.call_forms import bare_json_of
from engine.tool_calls.reading.family import Bare, with_names
from engine.tool_calls.schemas.tools import tool_schemas

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AnswerPlan:
    """What constrains one answer, how it is read, and notes on what cannot be enforced."""

    style: AnswerStyle
    grammar: CompiledGrammar | None = None
    notes: tuple[str, ...] = ()
    # By tool: why a grammar does not enforce all of its schema.
    relaxed: Mapping[str, str] = field(default_factory=dict)
    thinking_cap: ThinkingCap | None = None  # before the limit of the answer counts


class AnswerPlanner:
    """Plans the answers of one model; for one thread at a time."""

    def __init__(
        self,
        tokenizer: Any,
        eos: frozenset[int],
        *,
        forms: ModelForms | None = None,
        grammar: bool = True,
    ) -> None:
        """`tokenizer` is mlx-lm's wrapper; `forms` are those of the model, by default as its template shows.

        Without `grammar` nothing is constrained: calls are read, and repaired where they are broken.
        """
        forms = forms or model_forms(tokenizer)
        self.family = forms.family
        self.unavailable = ""  # why nothing is constrained
        self._thinking = forms.thinking or (self.family.thinking if self.family else None)
        self._bare: tuple[Bare, ...] = (
            ("json",) if self.family is None and _writes_bare_json(tokenizer) else ()
        )
        self._opening = forms.opening
        self._layout = (*tokenizer.structural_markers, *(self.family.layout if self.family else ()))
        self._grammars = self._grammars_of(tokenizer, eos) if grammar else None
        self._thinking_marks = self._marks_in_tokens(tokenizer, eos)
        if self._grammars is None:
            self.unavailable = self.unavailable or "grammars are switched off"
            return
        if self.family is not None and not forms.family_told and not self._allows_what_is_shown(tokenizer):
            # Under it the model could not write its own calls; they are read all the same.
            self._grammars, name = None, self.family.name
            self.unavailable = f"the grammar of {name} does not allow a call as the chat template writes it"
            _log.warning("answers are not constrained by grammars: %s", self.unavailable)

    @property
    def can_forbid_calls(self) -> bool:
        """Whether an answer can be kept from calls, although the prompt has tools."""
        return self._grammars is not None and self.family is not None

    def _allows_what_is_shown(self, tokenizer: Any) -> bool:
        """Whether the family's grammar allows the call that the model's template writes."""
        assert self._grammars is not None
        assert self.family is not None
        written = written_call(template_of(tokenizer), self.family)
        if not written:
            return True
        rules = AnswerRules(family=self.family, tools=tuple(PROBE_TOOLS.values()))
        tokens = tokenizer.encode(written, add_special_tokens=False)
        return not self._grammars.compile(rules).guide(tokens).failure

    def _grammars_of(self, tokenizer: Any, eos: frozenset[int]) -> Grammars | None:
        try:
            return Grammars(tokenizer, eos)
        except GrammarUnavailable as error:
            self.unavailable = str(error)
            _log.warning("answers are not constrained by grammars: %s", error)
            return None

    def _marks_in_tokens(self, tokenizer: Any, eos: frozenset[int]) -> ThinkingMarks | None:
        """The marks of thinking as a cap needs them; None if the model has none that can be written."""
        if self._thinking is None:
            return None
        vocabulary = tokenizer.get_vocab()
        try:
            spellings = self._grammars.spelling if self._grammars is not None else token_bytes(tokenizer)
        except GrammarUnavailable:  # its marks are tokens of their own, and all others count as words
            named = (*self._thinking, *self._layout)
            known = {vocabulary[mark]: mark.encode() for mark in named if mark in vocabulary}
            spellings = [known.get(token, b".") for token in range(max(vocabulary.values()) + 1)]
        return thinking_marks_of(
            self._thinking,
            self._layout,
            encode=lambda text: tokenizer.encode(text, add_special_tokens=False),
            vocabulary=vocabulary,
            spelling=lambda token: spellings[token] if token < len(spellings) else b"",
            vocab_size=len(spellings),
            eos=eos,
        )

    def _cap(self, chat: ChatRequest, *, opens_thinking: bool) -> tuple[ThinkingCap | None, tuple[str, ...]]:
        """The cap on the answer's thinking, and why there is none although one is asked for."""
        budget = chat.thinking_budget
        if budget is None or self._thinking is None or chat.continue_final_message:
            return None, ()
        if self._thinking_marks is None:
            note = f"the thinking is not capped: no tokens of this model spell {self._thinking[1]!r}"
            return None, (note,)
        return self._thinking_marks.cap(budget, opens_thinking=opens_thinking), ()

    def plan(self, chat: ChatRequest, *, opens_thinking: bool) -> AnswerPlan:
        """The plan for the answer to a request; `opens_thinking`: its prompt ends inside of it."""
        tools = tool_schemas(chat.callable_tools)
        parallel = chat.parallel_tool_calls is not False
        layout = with_names(self._layout, tools)
        style = AnswerStyle(
            stops=tuple(chat.stop),
            think_start=self._thinking[0] if self._thinking else "",
            think_end=self._thinking[1] if self._thinking else "",
            opens_thinking=opens_thinking,
            drop=layout,
            family=self.family,
            bare=self._bare,
            tools=tools,
            parallel=parallel,
        )
        shown = tool_schemas(chat.tools or []) if chat.choice.kind == "none" else tools
        rules = AnswerRules(
            family=self.family,
            tools=tuple(shown.values()),
            choice=chat.choice.kind,
            parallel=parallel,
            schema=chat.answer_schema,
            thinking=self._thinking if opens_thinking or chat.may_think else None,
            opens_thinking=opens_thinking,
            marks=self._thinking,
            layout=layout,
        )
        cap, notes = self._cap(chat, opens_thinking=opens_thinking)
        made = self._constrained(rules, style)
        return replace(made, thinking_cap=cap, notes=(*made.notes, *notes))

    def _constrained(self, rules: AnswerRules, style: AnswerStyle) -> AnswerPlan:
        asked = [
            name
            for name, is_asked in (
                ("tool_choice", rules.choice == "required" and bool(rules.tools)),
                ("response_format", rules.schema is not None),
            )
            if is_asked
        ]
        why = self.unavailable
        if not why and self.family is None and rules.tools:
            why = "how this model writes tool calls is not known; --tool-format names its way"
        grammar = None
        if self._grammars is not None and not rules.is_unconstrained:
            try:
                grammar = self._grammars.compile(rules)
            except GrammarUnavailable as error:
                why = str(error)
        if grammar is None:
            notes = tuple(f"{name} is accepted, not enforced: {why}" for name in asked)
            relaxed = dict.fromkeys(style.tools, why) if why else {}
            return AnswerPlan(style, None, notes, relaxed)
        unenforced = [
            f"{name} is accepted, not enforced: {why}" for name in asked if name == "tool_choice" and why
        ]
        if ANSWER in grammar.relaxed:
            unenforced.append(f"response_format is enforced in part: {grammar.relaxed[ANSWER]}")
        style = replace(style, answers_json=rules.schema is not None)
        relaxed = grammar.relaxed
        if self.family is not None:
            loose = {name: self.family.unconstrained(tool) for name, tool in style.tools.items()}
            relaxed = {name: why for name, why in loose.items() if why} | relaxed
            # What may be a thought must not send a call before it is known how the answer goes on.
            style = replace(
                style,
                constrained=frozenset() if self._opening else frozenset(style.tools) - relaxed.keys(),
                all_constrained=not self.family.bare and not self._opening,
            )
            if self._opening and style.tools:
                unenforced.append(
                    f"the chat template opens answers with {self._opening!r}, whose end is not known: calls "
                    "count at the end of the answer only; --thinking-format names the marks of thinking"
                )
        return AnswerPlan(style, grammar, tuple(unenforced), relaxed)


def _writes_bare_json(tokenizer: Any) -> bool:
    return bare_json_of(template_text(tokenizer), tokenizer.get_vocab())

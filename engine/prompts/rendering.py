"""Renders a conversation as a prompt: text by the model's own chat template, tokens, and boundaries.

Rendering is a pure function of the request. The prompt of a turn is the beginning of the next turn's, so that
the prefix cache can reuse it: content renders alike as a string and as parts, arguments keep the order of
their keys, and a refused message is changed in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from engine.prompts.answer_memory import AnswerMemory, KeptAnswer
from engine.prompts.encoding.control_tokens import OWN, special_tokens
from engine.prompts.encoding.segment_encoder import SegmentEncoder
from engine.prompts.guarded_template import GuardedTemplate
from engine.prompts.history.composition import ComposedHistory
from engine.prompts.history.dates import ConversationDates
from engine.prompts.history.meaning import meaning_of
from engine.prompts.inline_thoughts import InlineThoughts
from engine.prompts.message_form import MessageForm
from engine.prompts.message_preparation import plain_message, plain_messages, prepare_messages
from engine.prompts.model_forms import ModelForms, model_forms, opens_thinking
from engine.prompts.parts.prompt_parts import PartFinder, PromptParts, Shown
from engine.prompts.parts.prompt_segments import (
    has_shared_prefix,
    reminders_end,
    shared_boundaries,
    with_boundary,
)
from engine.prompts.probing.adaptations import form_notes
from engine.prompts.probing.conversations import written_as
from engine.prompts.probing.finding import find_traits
from engine.prompts.probing.known_traits import KnownTraits, traits_name
from engine.prompts.probing.project_place import ProjectPlace
from engine.prompts.recalled_history import (
    AnswerStart,
    PromptPiece,
    RecalledAnswer,
    RecalledHistory,
    RecalledPrompt,
)
from engine.prompts.refusal_fallbacks import (
    TOOLS_AS_TEXT,
    RenderedText,
    plain_transcript,
    render_with_fallbacks,
)
from engine.prompts.template_switches import TemplateSwitches
from engine.prompts.template_traits import PROBE_TOOL, TemplateTraits
from engine.prompts.tool_texts import ToolTexts, with_system
from engine.prompts.unseen_messages import unseen_note
from engine.wire.chat import Message

_FIRST_BOUNDARY = 4  # tokens; only a start mark comes before
_LOOP = written_as("s u Txc r Tc r Txc r Tcc r Tc r Tx u Tc r Tx u Tc")
_COMMON_SWITCH = "enable_thinking"
_NO_PLACE = "the model's chat template has no place for tools; calls are written in the form {}"
_UNPLACED = (
    "{} earlier answer(s) are rendered by the chat template, not as generated: it writes them, or the turn"
    " before them, in another way once more turns follow; the tokens behind them are computed again"
)


class PromptRefused(ValueError):
    """The request has no messages; raised by `PromptRenderer.render`."""


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """A prompt, and notes on what was changed.

    `boundaries` are ascending token positions: the end of system and tools if there are any, then the end of
    each turn, the last one before the generation prompt. Each is before a special token. Tokenizers always
    split there, so that the tokens before a boundary do not depend on the text behind it. If the first user
    turn begins with the client's reminders, which the sessions of a project share, their end is a boundary
    too; the text is tokenized in two parts there.
    """

    text: str
    tokens: list[int]
    boundaries: tuple[int, ...]
    has_shared_prefix: bool  # the first boundary ends what sessions share: system, tools or reminders
    parts: PromptParts  # system, each tool, each message
    notes: tuple[str, ...]
    opens_thinking: bool  # the answer begins within thinking
    starts: AnswerStart | None  # the start of the answer, for `remember`; None: unknown
    recalled: tuple[RecalledAnswer, ...] = ()  # the earlier answers that are in the prompt as generated
    shared_boundaries: int = 2  # the first boundaries that other sessions may share


@dataclass(frozen=True, slots=True)
class _Asked:
    """Messages as sent, and as given to the template with tools and arguments."""

    sent: list[Message]
    given: list[Message]
    tools: list[dict[str, Any]] | None
    kwargs: dict[str, Any]
    notes: tuple[str, ...]
    offered: Sequence[dict[str, Any]] = ()  # the tools, also where they are text in `given`


@dataclass(frozen=True, slots=True)
class _History:
    """A prompt with its kept answers, the start of the next one, the rendered turns, and notes."""

    prompt: RecalledPrompt
    start: AnswerStart | None
    turns: list[Message]
    notes: tuple[str, ...]


class PromptRenderer:
    """One model's template and tokenizer; for one thread at a time: tokenizers are not thread-safe."""

    def __init__(
        self,
        tokenizer: Any,
        answers: AnswerMemory | None = None,
        *,
        forms: ModelForms | None = None,
        known: KnownTraits | None = None,
    ) -> None:
        """`answers` are the kept answers that `render` recalls and `remember` adds to; none by default.

        `forms` are those of the model, by default as its template shows them. `known` are the traits of
        templates that were probed before.
        """
        self._tokenizer = tokenizer
        self._answers = AnswerMemory() if answers is None else answers
        special, added = special_tokens(tokenizer)
        self._template = GuardedTemplate(tokenizer, plain_transcript)
        self._apply, self._encode_whole = self._template.apply, self._template.encode
        self.forms = forms or model_forms(tokenizer)
        self._thinking = self.forms.thinking
        self._dates = ConversationDates()
        self._texts = ToolTexts(self.forms.family, list(added.values()))
        self.project_place = ProjectPlace(self._apply, self._texts)
        known = known or KnownTraits()
        told = {"marks": self._thinking, "format": self._texts.family.name, "ends": self._end_texts()}
        name = traits_name(self._template.source or "", added, told) if self._template.source else ""
        found = known.get(name) if name else None
        self.traits: TemplateTraits = found or find_traits(
            self._template, self._texts, self._thinking, self._encode_whole, special
        )
        self._template.form = MessageForm.of_traits(self.traits)
        self._thoughts = InlineThoughts(*(self._thinking or ("", "")), self._template.apply_unmasked)
        self._switches = TemplateSwitches(self._apply)
        marks = [added[number] for number in self.traits.turn_starts if number in added]
        self._segments = SegmentEncoder(self._encode_whole, marks, added.values())
        self._parts = PartFinder(tokenizer)
        self._history = RecalledHistory(
            self._applied,
            self._template.decode,
            added.values(),
            self._end_texts(),
            self._template.decode_masked,
        )
        self._composition = ComposedHistory(
            self._apply,
            self._template.mask,
            self._template.clear,
            self._template.decode,
            self._template.decode_masked,
            self._end_texts(),
            self._texts,
        )
        if found is None and tokenizer.has_chat_template:
            self.traits = self._with_history()
            if name:
                known.put(name, self.traits)
        if self.traits.tools_as_text and self.forms.family is None:
            self.forms = replace(self.forms, family=self._texts.family, family_told=True)

    def render(
        self, messages: Sequence[Message], tools: list[dict[str, Any]] | None = None, **template_kwargs: Any
    ) -> RenderedPrompt:
        """Render and tokenize a conversation up to the next answer.

        Raises:
            PromptRefused: there are no messages. Messages that the template refuses are rendered in another
                form.
        """
        asked = self._asked(messages, tools, template_kwargs)
        return self._prompt(asked, self._written(asked, self._answers))

    def _prompt(self, asked: _Asked, history: _History) -> RenderedPrompt:
        has_tools = asked.tools is not None or asked.given is not asked.sent
        notes, pieces, turns = list(history.notes), history.prompt.pieces, history.turns
        if history.prompt.unplaced:
            notes.append(_UNPLACED.format(history.prompt.unplaced))
        first = pieces[0] if pieces else PromptPiece("")
        reminders = reminders_end(self._template.clear(first.text), turns)
        if not first.tokens and 0 < reminders < len(first.text):
            pieces[:1] = [PromptPiece(first.text[:reminders]), PromptPiece(first.text[reminders:])]
        else:
            reminders = 0
        text = "".join(piece.text for piece in pieces)
        notes += self._template.leaks(text)
        parts = [piece.tokens or self.encode(piece.text) for piece in pieces]
        tokens = [token for part in parts for token in part]
        boundaries, start, clear = self._boundaries(tokens), history.start, self._template.clear(text)
        if reminders:
            reminders = len(parts[0])
            boundaries = with_boundary(boundaries, reminders)
        shown = Shown(asked.sent, turns, asked.offered, has_tools)
        return RenderedPrompt(
            clear,
            tokens,
            boundaries,
            bool(reminders) or has_shared_prefix(turns, has_tools),
            self._parts.find(clear, tokens, boundaries, shown, reminders),
            tuple(notes),
            opens_thinking(text, self._thinking, start.opening if start else None),
            start,
            history.prompt.answers,
            shared_boundaries(turns),
        )

    def text(
        self, messages: Sequence[Message], tools: list[dict[str, Any]] | None = None, **template_kwargs: Any
    ) -> tuple[str, list[str]]:
        """The text of a prompt without kept answers, and notes on what was changed.

        Raises:
            PromptRefused: see `render`.
        """
        asked = self._asked(messages, tools, template_kwargs)
        if self.traits.composed and (history := self._composed(asked, AnswerMemory())) is not None:
            text = "".join(piece.text for piece in history.prompt.pieces)
            return self._template.clear(text), list(history.notes)
        plain = self._plain(asked)
        return self._template.clear(plain.text), list(plain.notes)

    def _asked(
        self, messages: Sequence[Message], tools: list[dict[str, Any]] | None, template_kwargs: dict[str, Any]
    ) -> _Asked:
        """What is to be rendered, with tools and arguments as the template takes them."""
        if not messages:
            raise PromptRefused("there are no messages to answer")
        switches = self._switches.accepted(self.traits.fixed_kwargs | self._switched(template_kwargs))
        sent = self.project_place.arranged(self._thoughts.extracted(messages), self.traits)
        self._template.day = self._dates.of(sent)
        given, offered, notes = sent, tools or None, switches.notes
        if offered and (self.traits.tools_as_text or not self._tokenizer.has_chat_template):
            given, offered, notes = self._texts.with_tools(sent, offered), None, (*notes, TOOLS_AS_TEXT)
            if self._tokenizer.has_chat_template:
                notes = (*notes, _NO_PLACE.format(self._texts.family.name))
        if self.traits.needs_system or (offered and self.traits.tools_need_system):
            given = with_system(given, offered)
        notes = (*notes, *form_notes(self.traits))
        return _Asked(sent, given, offered, switches.kwargs, notes, tools or ())

    def _plain(self, asked: _Asked) -> RenderedText:
        """A prompt's text as the template writes it, with stand-ins."""
        plain = self._rendered(asked.given, asked)
        unseen = unseen_note(asked.sent, self._template.clear(plain.text))
        return replace(plain, notes=(*plain.notes, *unseen, *asked.notes))

    def _rendered(self, messages: Sequence[Message], asked: _Asked) -> RenderedText:
        transcript, kwargs = self._template.transcript, asked.kwargs
        return render_with_fallbacks(
            self._apply, transcript, self.traits, messages, asked.tools, kwargs, self._texts
        )

    def _written(self, asked: _Asked, answers: AnswerMemory) -> _History:
        """A prompt in the form that the probes chose."""
        composed = self._composed(asked, answers) if self.traits.composed else None
        return composed or self._recalled(asked, answers)

    def _recalled(self, asked: _Asked, answers: AnswerMemory) -> _History:
        """A prompt as the template writes it, with the kept answers in their places."""
        plain = self._plain(asked)
        clear = self._template.clear(plain.text)
        recalled = self._history.recall(plain.text, clear, plain.prepared, plain.tools, plain.kwargs, answers)
        text = self._template.clear("".join(piece.text for piece in recalled.pieces))
        start = self._history.answer_start(text, plain.prepared.messages, plain.tools, plain.kwargs)
        return _History(recalled, start, plain.prepared.messages, plain.notes)

    def _composed(self, asked: _Asked, answers: AnswerMemory) -> _History | None:
        """A prompt that is put together turn by turn; None if the template has no way to write it so."""
        roles = [message["role"] for message in asked.given]
        first = roles.index("assistant") if "assistant" in roles else 0
        if not {"user", "tool"}.intersection(roles[:first]):
            return None
        head = self._rendered(asked.given[:first], asked)
        if head.kwargs != asked.kwargs or bool(head.tools) != bool(asked.tools):
            return None
        composed = self._composition.compose(
            head.text,
            plain_messages(asked.given, self.traits),
            self.traits,
            head.tools,
            asked.kwargs,
            answers,
        )
        if composed is None:
            return None
        prepared = prepare_messages(asked.given, self.traits, self._texts)
        text = self._template.clear("".join(piece.text for piece in composed.prompt.pieces))
        recalled = bool(composed.prompt.answers)
        looked = [m for m in asked.sent if not recalled or m["role"] != "assistant"]
        notes = tuple(dict.fromkeys([*head.notes, *prepared.notes, *unseen_note(looked, text), *asked.notes]))
        return _History(composed.prompt, composed.start, prepared.messages, notes)

    def remember(
        self, prompt: RenderedPrompt, message: Message, tokens: Sequence[int]
    ) -> Future[None] | None:
        """Keep what was generated for `prompt` and sent to the client as `message`; for any thread.

        The result is as `engine.prompts.answer_memory.Save` says.
        """
        return self._remember(prompt, message, tokens, self._answers)

    def _remember(
        self, prompt: RenderedPrompt, message: Message, tokens: Sequence[int], answers: AnswerMemory
    ) -> Future[None] | None:
        if not tokens or prompt.starts is None:
            return None
        plain = plain_message(message, {}, self.traits)
        kept = KeptAnswer(prompt.starts.before, prompt.starts.opening, tuple(tokens), meaning_of(plain))
        return answers.keep(plain, kept)

    def encode(self, text: str) -> list[int]:
        """Token ids of rendered text; control tokens in it are recognised, and none is added."""
        return self._segments(text)

    @property
    def tokenizing_s(self) -> float:
        """Seconds that tokenizing took so far."""
        return self._segments.spent_s

    def thinking_kwargs(self, effort: str | None) -> dict[str, Any]:
        """Template arguments for OpenAI's `reasoning_effort`."""
        if effort is None:
            return {}
        switch = self.traits.thinking_switch
        return {"reasoning_effort": effort} | ({switch: effort != "none"} if switch else {})

    def _with_history(self) -> TemplateTraits:
        """The traits with the way to write history in which most prompts continue what was generated."""
        breaks = {}
        for composed in (False, True):
            self.traits = replace(self.traits, composed=composed)
            breaks[composed] = self._breaks()
            if not breaks[composed] and self.traits.call_text != "result":
                break
        more = breaks.get(True, len(_LOOP.messages)) - breaks[False]
        return replace(self.traits, composed=more < (self.traits.call_text == "result"))

    def _breaks(self) -> int:
        """How many prompts of a probe session do not continue what was generated before."""
        answers, broken, written = AnswerMemory(), 0, list[int]()
        for place, message in enumerate(_LOOP.messages):
            if message["role"] != "assistant":
                continue
            try:
                asked = self._asked(_LOOP.messages[:place], [PROBE_TOOL], {})
                write = self._written if self.traits.composed else self._recalled
                prompt = self._prompt(asked, write(asked, answers))
            except Exception:  # a template may raise anything
                return len(_LOOP.messages)
            broken += prompt.tokens[: len(written)] != written
            thought = f"{message['reasoning_content']}{self._thinking[1]}\n" if self._thinking else ""
            calls = self._texts.calls(message.get("tool_calls") or []).replace(OWN, "")
            generated = self.encode(f"{thought}{message['content']}\n{calls}".rstrip())
            sent = {name: value for name, value in message.items() if name != "reasoning_content"}
            self._remember(prompt, sent, generated, answers)
            written = [*prompt.tokens, *generated]
        return broken

    def _switched(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Template arguments with the common switch of thinking under the template's own name."""
        switch = self.traits.thinking_switch
        if switch in ("", _COMMON_SWITCH) or _COMMON_SWITCH not in kwargs or switch in kwargs:
            return kwargs
        return kwargs | {switch: kwargs[_COMMON_SWITCH]}

    def _applied(self, messages: Sequence[Message], tools: Any, **options: Any) -> str:
        """The rendered messages as the model reads them."""
        return self._template.clear(self._apply(messages, tools, **options))

    def _end_texts(self) -> list[str]:
        ends = getattr(self._tokenizer, "eos_token_ids", None) or ()
        return [self._template.decode([number]) for number in sorted(ends)]

    def _boundaries(self, tokens: list[int]) -> tuple[int, ...]:
        starts = self.traits.turn_starts
        return tuple(at for at, token in enumerate(tokens) if token in starts and at >= _FIRST_BOUNDARY)


def render(tokenizer: Any, body: dict[str, Any]) -> str:
    """The prompt text of a chat completion body."""
    offered = body.get("tools") if body.get("tool_choice") != "none" else None
    return PromptRenderer(tokenizer).text(
        body["messages"], offered, **(body.get("chat_template_kwargs") or {})
    )[0]

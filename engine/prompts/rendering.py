"""Renders a conversation as a prompt: text by the model's own chat template, tokens, and boundaries.

Rendering is a pure function of the request. The prompt of a turn is the beginning of the next turn's, so that
the prefix cache can reuse it: content renders alike as a string and as parts, arguments keep the order of
their keys, and a refused message is changed in place.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from engine.prompts.answer_memory import AnswerMemory, KeptAnswer
from engine.prompts.chat_template import template_of
from engine.prompts.encoding.segment_encoder import SegmentEncoder
from engine.prompts.guarded_template import GuardedTemplate
from engine.prompts.inline_thoughts import InlineThoughts
from engine.prompts.message_preparation import plain_message
from engine.prompts.model_thinking import opens_thinking, thinking_marks
from engine.prompts.probing.finding import find_traits
from engine.prompts.recalled_history import AnswerStart, PromptPiece, RecalledAnswer, RecalledHistory
from engine.prompts.refusal_fallbacks import (
    TOOLS_AS_TEXT,
    RenderedText,
    plain_transcript,
    render_with_fallbacks,
)
from engine.prompts.template_switches import TemplateSwitches
from engine.prompts.template_traits import TemplateTraits
from engine.prompts.tool_texts import ToolTexts, with_system
from engine.prompts.unseen_messages import unseen_note
from engine.tool_calls.families.registry import family_named
from engine.tool_calls.families.template_probe import detected_family
from engine.tool_calls.reading.family import Family
from engine.wire.chat import Message

_SPEAKERS = {"assistant": "assistant", "tool": "tool result", "system": "system entry"}
_REMINDERS = re.compile(r"(?:<system-reminder>.*?</system-reminder>\n?)+", re.DOTALL)
_FIRST_BOUNDARY = 4  # tokens; only a start mark comes before
_COMMON_SWITCH = "enable_thinking"
_NO_PLACE = "the model's chat template has no place for tools; calls are written in the form {}"
_UNPLACED = (
    "{} earlier answer(s) are rendered by the chat template, not as they were generated: it writes them, or"
    " the turn before them, in another way once more turns follow; the tokens behind them are computed again"
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
    has_shared_prefix: (
        bool  # the first boundary ends the prefix that sessions share: system, tools or reminders
    )
    segments: tuple[
        str, ...
    ]  # the name of the segment before each boundary; empty if turns and messages differ
    notes: tuple[str, ...]
    opens_thinking: bool  # the answer begins within thinking
    starts: AnswerStart | None  # the start of the answer, for `remember`; None: unknown
    recalled: tuple[RecalledAnswer, ...] = ()  # the earlier answers that are in the prompt as generated


class PromptRenderer:
    """One model's template and tokenizer; for one thread at a time, since tokenizers are not thread-safe."""

    def __init__(
        self,
        tokenizer: Any,
        answers: AnswerMemory | None = None,
        *,
        tool_format: str = "",
        thinking_format: str = "",
    ) -> None:
        """`answers` are the kept answers that `render` recalls and `remember` adds to; none by default.

        `tool_format` names a family of tool calls instead of the template's, `thinking_format` the marks of
        thinking in place of those that the template shows.
        """
        self._tokenizer = tokenizer
        self._answers = AnswerMemory() if answers is None else answers
        special, added = _special_tokens(tokenizer)
        self._template = GuardedTemplate(tokenizer, plain_transcript)
        self._apply, self._encode_whole = self._template.apply, self._template.encode
        self._thinking = thinking_marks(tokenizer, thinking_format)
        self._texts = ToolTexts(_family(tokenizer, tool_format), list(added.values()))
        self.traits: TemplateTraits = find_traits(
            self._template, self._texts, self._thinking, self._encode_whole, special
        )
        self._thoughts = InlineThoughts(*(self._thinking or ("", "")), self._template.apply_unmasked)
        self._switches = TemplateSwitches(self._apply)
        marks = [added[number] for number in self.traits.turn_starts if number in added]
        self._segments = SegmentEncoder(self._encode_whole, marks, added.values())
        self._history = RecalledHistory(
            self._applied,
            self._template.decode,
            added.values(),
            self._end_texts(),
            self._answers,
            self._template.decode_masked,
        )

    def render(
        self, messages: Sequence[Message], tools: list[dict[str, Any]] | None = None, **template_kwargs: Any
    ) -> RenderedPrompt:
        """Render and tokenize a conversation up to the next answer.

        Raises:
            PromptRefused: there are no messages. Messages that the template refuses are rendered in another
                form.
        """
        plain = self._plain(messages, tools, template_kwargs)
        notes, turns, text = list(plain.notes), plain.prepared.messages, plain.text
        clear = self._template.clear(text)
        recalled = self._history.recall(text, clear, plain.prepared, plain.tools, plain.kwargs)
        if recalled.unplaced:
            notes.append(_UNPLACED.format(recalled.unplaced))
        pieces = recalled.pieces
        reminders = _reminders_end(clear, turns)
        if not pieces[0].tokens and 0 < reminders < len(pieces[0].text):
            first = pieces[0].text
            pieces[:1] = [PromptPiece(first[:reminders]), PromptPiece(first[reminders:])]
        else:
            reminders = 0
        text = "".join(piece.text for piece in pieces)
        notes += self._template.leaks(text)
        parts = [piece.tokens or self.encode(piece.text) for piece in pieces]
        tokens = [token for part in parts for token in part]
        boundaries, segments = self._boundaries(tokens), segment_names(turns, bool(tools))
        if reminders:
            boundaries, segments = _with_boundary(boundaries, segments, len(parts[0]))
        clear = self._template.clear(text)
        start = self._history.answer_start(clear, turns, plain.tools, plain.kwargs)
        return RenderedPrompt(
            clear,
            tokens,
            boundaries,
            bool(reminders) or _has_shared_prefix(turns, bool(tools)),
            segments if len(segments) == len(boundaries) else (),
            tuple(notes),
            opens_thinking(text, self._thinking, start.opening if start else None),
            start,
            recalled.answers,
        )

    def text(
        self, messages: Sequence[Message], tools: list[dict[str, Any]] | None = None, **template_kwargs: Any
    ) -> tuple[str, list[str]]:
        """The text of a prompt, and notes on what was changed.

        Raises:
            PromptRefused: see `render`.
        """
        plain = self._plain(messages, tools, template_kwargs)
        return self._template.clear(plain.text), list(plain.notes)

    def _plain(
        self, messages: Sequence[Message], tools: list[dict[str, Any]] | None, template_kwargs: dict[str, Any]
    ) -> RenderedText:
        """A prompt's masked text."""
        if not messages:
            raise PromptRefused("there are no messages to answer")
        switches = self._switches.accepted(self.traits.fixed_kwargs | self._switched(template_kwargs))
        apart = self._thoughts.extracted(messages)
        given, offered, notes = apart, tools or None, switches.notes
        if offered and (self.traits.tools_as_text or not self._tokenizer.has_chat_template):
            given, offered, notes = self._texts.with_tools(apart, offered), None, (*notes, TOOLS_AS_TEXT)
        elif offered and self.traits.tools_need_system:
            given = with_system(apart)
        plain = render_with_fallbacks(
            self._apply, self._template.transcript, self.traits, given, offered, switches.kwargs, self._texts
        )
        unseen = unseen_note(apart, self._template.clear(plain.text))
        if given is not apart and self.traits.tools_as_text:
            unseen.append(_NO_PLACE.format(self._texts.format_name))
        return replace(plain, notes=(*notes, *plain.notes, *unseen))

    def remember(
        self, prompt: RenderedPrompt, message: Message, tokens: Sequence[int]
    ) -> Future[None] | None:
        """Keep what was generated for `prompt` and sent to the client as `message`; for any thread.

        The result is as `engine.prompts.answer_memory.Save` says.
        """
        if not tokens or prompt.starts is None:
            return None
        plain = plain_message(message, {}, self.traits)
        kept = KeptAnswer(prompt.starts.before, prompt.starts.opening, tuple(tokens))
        return self._answers.keep(plain, kept)

    def encode(self, text: str) -> list[int]:
        """Token ids of rendered text; control tokens in it are recognised, and none is added."""
        return self._segments(text)

    def thinking_kwargs(self, effort: str | None) -> dict[str, Any]:
        """Template arguments for OpenAI's `reasoning_effort`."""
        if effort is None:
            return {}
        switch = self.traits.thinking_switch
        return {"reasoning_effort": effort} | ({switch: effort != "none"} if switch else {})

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


def _reminders_end(text: str, messages: Sequence[Message]) -> int:
    """The end of the reminders at the start of the first user turn; 0 if it has none."""
    said = next((message["content"] for message in messages if message["role"] == "user"), "")
    found = _REMINDERS.match(said)
    at = text.find(found[0]) if found else -1
    return at + len(found[0]) if found and at >= 0 else 0


def _with_boundary(
    boundaries: tuple[int, ...], segments: tuple[str, ...], boundary: int
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """`boundaries` with one more at the end of the reminders; names are kept if each segment has one."""
    place = bisect.bisect_left(boundaries, boundary)
    if boundaries[place : place + 1] == (boundary,):
        return boundaries, segments
    if len(segments) == len(boundaries):
        segments = (*segments[:place], "reminders of message 1 (user)", *segments[place:])
    return (*boundaries[:place], boundary, *boundaries[place:]), segments


def segment_names(messages: Sequence[Message], tools: bool) -> tuple[str, ...]:
    """Names of a prompt's segments, for people: the shared prefix, then each message with its number."""
    leading = _has_shared_prefix(messages, False)
    shared = " and ".join(name for name, there in (("system", leading), ("tools", tools)) if there)
    turns = enumerate(messages[1:] if leading else messages, 1)
    named = [f"message {number} ({_SPEAKERS.get(turn['role'], 'user')})" for number, turn in turns]
    return (shared, *named) if shared else tuple(named)


def _has_shared_prefix(messages: Sequence[Message], tools: bool) -> bool:
    """Whether system or tools come before the first message of the conversation."""
    return tools or (bool(messages) and messages[0]["role"] == "system")


def _family(tokenizer: Any, tool_format: str) -> Family | None:
    if tool_format:
        return family_named(tool_format)
    vocabulary: dict[str, int] = getattr(tokenizer, "get_vocab", dict)()
    return detected_family(template_of(tokenizer), vocabulary)


def _special_tokens(tokenizer: Any) -> tuple[frozenset[int], dict[int, str]]:
    """The special tokens, and the texts of all added tokens."""
    added = getattr(tokenizer, "added_tokens_decoder", None) or {}
    marked = {number for number, token in added.items() if token.special}
    texts = {number: str(token.content) for number, token in added.items()}
    return frozenset(marked | set(tokenizer.all_special_ids)), texts

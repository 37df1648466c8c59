"""A conversation becomes a prompt: text by the model's own chat template, tokens, and cuts.

Rendering is a pure function of what was sent. The prompt of a turn is the beginning of the next turn's, so
that the prefix cache serves: content renders the same as a string and as parts, arguments keep the order of
their keys, and what a template refuses is put differently at the same spot.
"""

from __future__ import annotations

import bisect
import hashlib
import json
import re
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from engine.answer_memory import AnswerMemory, KeptAnswer, TextDigest
from engine.chat_wire import Message, content_text
from engine.control_tokens import OWN, well_formed
from engine.guarded_template import GuardedTemplate
from engine.inline_thoughts import InlineThoughts
from engine.segment_encoder import SegmentEncoder
from engine.template_traits import TemplateTraits, probe_template
from engine.turn_folding import SYSTEM_ROLES, fold_system_turns

_TITLES = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Result"}
_SPEAKERS = {"assistant": "assistant", "tool": "tool result", "system": "system entry"}
_REMINDERS = re.compile(r"(?:<system-reminder>.*?</system-reminder>\n?)+", re.DOTALL)
_SMALLEST_CUT = 4  # tokens; nothing but a start mark lies before


class PromptRefused(ValueError):
    """The model's chat template does not take these messages; raised by `PromptRenderer.render`."""


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """A prompt, and what was done to the messages on the way.

    `cuts` are ascending token positions: the end of system and tools if there are any, then the end of each
    turn, the last one before the generation prompt. Each lies before a special token, at which tokenizers
    always split, so that the tokens before it do not depend on the text behind it. Where the first user turn
    begins with reminders of the client, which all sessions of a project share, their end is a cut too; the
    text is tokenized in two parts there.
    """

    text: str
    tokens: list[int]
    cuts: tuple[int, ...]
    has_head: bool  # the first cut ends system, tools or reminders: what other sessions begin with too
    segments: tuple[str, ...]  # what ends at each cut; empty where the template's turns are not the messages
    notes: tuple[str, ...]
    opens_thinking: bool  # the answer begins inside of the thinking
    before: bytes  # digest of the text up to where the answer's turn opens; empty: it does so in no known way


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a prompt; with `tokens` it is not tokenized again."""

    text: str
    tokens: tuple[int, ...] = ()


class PromptRenderer:
    """One model's template and tokenizer; for one thread at a time, since tokenizers dislike company."""

    def __init__(self, tokenizer: Any, answers: AnswerMemory | None = None) -> None:
        """`answers` are what history is rendered from, and where `remember` puts more; by default none."""
        self._tokenizer = tokenizer
        self._answers = AnswerMemory() if answers is None else answers
        special, added = _special_tokens(tokenizer)
        self._template = GuardedTemplate(tokenizer, plain_transcript)
        self._apply, self._encode_whole = self._template.apply, self._template.encode
        self.traits: TemplateTraits = probe_template(
            self._apply, template_text=self._template.source or "", encode=self._encode_whole, special=special
        )
        self._thoughts = InlineThoughts(
            getattr(tokenizer, "think_start", None),
            getattr(tokenizer, "think_end", None),
            self._template.fill,
        )
        marks = [added[number] for number in self.traits.turn_starts if number in added]
        self._segments = SegmentEncoder(self._encode_whole, marks, added.values())

    def render(
        self, messages: Sequence[Message], tools: list[dict[str, Any]] | None = None, **template_kwargs: Any
    ) -> RenderedPrompt:
        """Render and tokenize a conversation, ready for the next answer.

        Raises:
            PromptRefused: the template raised; the message is the template's own.
        """
        text, prepared, notes = self._text(messages, tools, template_kwargs)
        pieces = self._recalled(text, prepared, tools, template_kwargs)
        reminders = _reminders_end(self._template.clear(text), prepared)
        if not pieces[0].tokens and 0 < reminders < len(pieces[0].text):
            first = pieces[0].text
            pieces[:1] = [_Piece(first[:reminders]), _Piece(first[reminders:])]
        else:
            reminders = 0
        text = "".join(piece.text for piece in pieces)
        notes += self._template.leaks(text)
        if tools and not self.traits.tools_shown:
            notes.append("the model's chat template has no place for tools; it does not see them")
        parts = [piece.tokens or self.encode(piece.text) for piece in pieces]
        tokens = [token for part in parts for token in part]
        cuts, segments = self._cuts(tokens), segment_names(prepared, bool(tools))
        if reminders:
            cuts, segments = _with_cut(cuts, segments, len(parts[0]))
        return RenderedPrompt(
            self._template.clear(text),
            tokens,
            cuts,
            bool(reminders) or _has_head(prepared, bool(tools)),
            segments if len(segments) == len(cuts) else (),
            tuple(notes),
            self._opens_thinking(text),
            self._before_answer(text),
        )

    def text(
        self, messages: Sequence[Message], tools: list[dict[str, Any]] | None = None, **template_kwargs: Any
    ) -> tuple[str, list[str]]:
        """The text of a prompt, and notes on what was folded.

        Raises:
            PromptRefused: see `render`.
        """
        text, _, notes = self._text(messages, tools, template_kwargs)
        return self._template.clear(text), notes

    def _text(
        self, messages: Sequence[Message], tools: list[dict[str, Any]] | None, template_kwargs: dict[str, Any]
    ) -> tuple[str, list[Message], list[str]]:
        """The text with what is masked in it, the messages as the template got them, and notes."""
        prepared, notes = prepare_messages(self._thoughts.apart(messages), self.traits)
        try:
            text = self._apply(prepared, tools or None, **(self.traits.steady_kwargs | template_kwargs))
        except Exception as error:  # a template may raise anything, and whatever it raises is about its input
            raise PromptRefused(f"the model's chat template refuses these messages: {error}") from error
        return text, prepared, notes

    def remember(
        self, prompt: RenderedPrompt, message: Message, tokens: Sequence[int]
    ) -> Future[None] | None:
        """Keep what was generated behind `prompt`, which the client got as `message`; for any thread.

        What is returned is as `engine.answer_memory.Save` says.
        """
        opening = self.traits.answer_opening
        if opening is None or not tokens or not prompt.before:
            return None
        plain = _plain_message(message, {}, self.traits)
        return self._answers.keep(plain, KeptAnswer(prompt.before, opening, tuple(tokens)))

    def _before_answer(self, text: str) -> bytes:
        opening = self.traits.answer_opening
        if opening is None or not text.endswith(opening):
            return b""
        return TextDigest(text[: len(text) - len(opening)]).value()

    def _recalled(
        self,
        text: str,
        prepared: Sequence[Message],
        tools: list[dict[str, Any]] | None,
        template_kwargs: dict[str, Any],
    ) -> list[_Piece]:
        """The prompt with each answer of the past as it was generated, where that is known."""
        marks = {
            number: f"\ue000answer {number}\ue001"
            for number, message in enumerate(prepared)
            if message["role"] == "assistant" and self._answers.knows(message)
        }
        if not marks:
            return [_Piece(text)]
        marked = [
            {"role": "assistant", "content": marks[number]} if number in marks else message
            for number, message in enumerate(prepared)
        ]
        try:
            others = self._apply(marked, tools or None, **(self.traits.steady_kwargs | template_kwargs))
        except Exception:  # a template may want its calls; then history is what the template makes of it
            return [_Piece(text)]
        return self._with_answers(text, others, [(mark, prepared[number]) for number, mark in marks.items()])

    def _with_answers(self, text: str, others: str, answers: Sequence[tuple[str, Message]]) -> list[_Piece]:
        """`text` with what was generated in place of the turns that are marks in `others`, else the same."""
        pieces: list[_Piece] = []
        so_far = TextDigest()

        def add(piece: _Piece) -> None:
            pieces.append(piece)
            so_far.add(piece.text)

        for mark, message in answers:
            before, found, others = others.partition(mark)
            if not found or not text.startswith(before):
                break
            add(_Piece(before))
            text = text[len(before) :]
            behind = others.partition("\ue000answer ")[0]
            end = text.find(behind) if behind else len(text)
            if end < 0:
                break
            answer = self._answers.find(message, so_far.value())
            if answer is None:
                add(_Piece(text[:end]))
            else:
                if not answer.text:
                    answer.text = str(self._tokenizer.decode(list(answer.tokens), skip_special_tokens=False))
                add(_Piece(answer.opening))
                add(_Piece(answer.text, answer.tokens))
            text = text[end:]
        add(_Piece(text))
        return _joined(pieces)

    def encode(self, text: str) -> list[int]:
        """Token ids of rendered text; control tokens in it are recognised, and none is added."""
        return self._segments(text)

    def thinking_kwargs(self, effort: str | None) -> dict[str, Any]:
        """Template arguments for OpenAI's `reasoning_effort`."""
        if effort is None:
            return {}
        switch = self.traits.thinking_switch
        return {"reasoning_effort": effort} | ({switch: effort != "none"} if switch else {})

    def _cuts(self, tokens: list[int]) -> tuple[int, ...]:
        starts = self.traits.turn_starts
        return tuple(at for at, token in enumerate(tokens) if token in starts and at >= _SMALLEST_CUT)

    def _opens_thinking(self, text: str) -> bool:
        mark: str = getattr(self._tokenizer, "think_start", None) or ""
        return mark != "" and text[-64:].rstrip().endswith(mark)


def render(tokenizer: Any, body: dict[str, Any]) -> str:
    """The prompt text of a chat completion body."""
    offered = body.get("tools") if body.get("tool_choice") != "none" else None
    return PromptRenderer(tokenizer).text(
        body["messages"], offered, **(body.get("chat_template_kwargs") or {})
    )[0]


def _reminders_end(text: str, messages: Sequence[Message]) -> int:
    """Where in a prompt the reminders end that its first user turn begins with; 0 if it begins otherwise."""
    said = next((message["content"] for message in messages if message["role"] == "user"), "")
    found = _REMINDERS.match(said)
    at = text.find(found[0]) if found else -1
    return at + len(found[0]) if found and at >= 0 else 0


def _with_cut(
    cuts: tuple[int, ...], segments: tuple[str, ...], cut: int
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """`cuts` with one more, which ends the reminders; names are kept where there is one for each."""
    place = bisect.bisect_left(cuts, cut)
    if cuts[place : place + 1] == (cut,):
        return cuts, segments
    if len(segments) == len(cuts):
        segments = (*segments[:place], "reminders of message 1 (user)", *segments[place:])
    return (*cuts[:place], cut, *cuts[place:]), segments


def _joined(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Text that stands together in one piece, so that it is tokenized as one."""
    joined: list[_Piece] = []
    for piece in pieces:
        if joined and not piece.tokens and not joined[-1].tokens:
            joined[-1] = _Piece(joined[-1].text + piece.text)
        else:
            joined.append(piece)
    return joined


def prepare_messages(messages: Sequence[Message], traits: TemplateTraits) -> tuple[list[Message], list[str]]:
    """Messages in the form that a template with these traits renders, and notes on what was folded."""
    notes: list[str] = []
    prepared = list(messages)
    if not traits.system_in_place:
        prepared, notes = fold_system_turns(prepared, keep_first=traits.first_system)
    names = _call_names(prepared)
    prepared = [_plain_message(message, names, traits) for message in prepared]
    if not traits.tool_turns:
        prepared = [_calls_as_text(message) for message in prepared]
    if not traits.repeated_roles:
        prepared = _merge_repeated(prepared)
    return prepared, notes


def segment_names(messages: Sequence[Message], tools: bool) -> tuple[str, ...]:
    """What the turns of a prompt are, for people: its head, then each message with its number."""
    leading = _has_head(messages, False)
    head = " and ".join(name for name, there in (("system", leading), ("tools", tools)) if there)
    turns = enumerate(messages[1:] if leading else messages, 1)
    named = [f"message {number} ({_SPEAKERS.get(turn['role'], 'user')})" for number, turn in turns]
    return (head, *named) if head else tuple(named)


def _has_head(messages: Sequence[Message], tools: bool) -> bool:
    """Whether something comes before the first message of the conversation."""
    return tools or (bool(messages) and messages[0]["role"] == "system")


def plain_transcript(messages: Sequence[Message]) -> str:
    """The prompt for a model without a chat template."""
    turns = [f"{_TITLES.get(m['role'], m['role'])}: {content_text(m.get('content'))}" for m in messages]
    return "\n\n".join([*turns, "Assistant:"])


def _special_tokens(tokenizer: Any) -> tuple[frozenset[int], dict[int, str]]:
    """The special tokens, and the texts of all that are looked for before a text is split."""
    added = getattr(tokenizer, "added_tokens_decoder", None) or {}
    marked = {number for number, token in added.items() if token.special}
    texts = {number: str(token.content) for number, token in added.items()}
    return frozenset(marked | set(tokenizer.all_special_ids)), texts


def _call_names(messages: Sequence[Message]) -> dict[str, str]:
    calls = [call for message in messages for call in message.get("tool_calls") or []]
    return {call.get("id") or "": call["function"]["name"] for call in calls}


def _plain_message(message: Message, names: dict[str, str], traits: TemplateTraits) -> Message:
    """One message with its content as text and only the fields that templates know."""
    role = "system" if message["role"] in SYSTEM_ROLES else message["role"]
    plain: Message = {"role": role, "content": content_text(message.get("content"))}
    if role == "tool":
        call_id = message.get("tool_call_id") or ""
        name = message.get("name") or names.get(call_id)
        return plain | {"tool_call_id": _call_id(call_id, traits)} | ({"name": name} if name else {})
    if role != "assistant":
        return plain
    thinking = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(thinking, str) and thinking:
        plain["reasoning_content"] = thinking
    if calls := message.get("tool_calls"):
        plain["tool_calls"] = [_plain_call(call, traits) for call in calls]
        plain["content"] = plain["content"] or traits.empty_content
    return plain


def _plain_call(call: dict[str, Any], traits: TemplateTraits) -> dict[str, Any]:
    arguments = call["function"].get("arguments")
    if not traits.text_arguments:
        arguments = _mapping(arguments)
    elif not isinstance(arguments, str):
        arguments = json.dumps(arguments or {}, ensure_ascii=False)
    function = {"name": call["function"]["name"], "arguments": arguments}
    return {"id": _call_id(call.get("id") or "", traits), "type": "function", "function": function}


def _mapping(arguments: Any) -> dict[str, Any]:
    """Arguments as a mapping, in the order in which they were written; no JSON object: kept as text."""
    if isinstance(arguments, dict):
        return arguments
    if not arguments:
        return {}
    try:
        value = json.loads(arguments)
        if "\\ud" in arguments.lower():  # half a character, escaped, is none
            value = json.loads(well_formed(json.dumps(value, ensure_ascii=False)))
    except (TypeError, ValueError):
        value = None
    return value if isinstance(value, dict) else {"text": arguments}


def _call_id(call_id: str, traits: TemplateTraits) -> str:
    if not traits.short_call_ids or (len(call_id) == 9 and call_id.isalnum()):
        return call_id
    return hashlib.sha256(call_id.encode()).hexdigest()[:9]


def _calls_as_text(message: Message) -> Message:
    """Calls and results written into the text, in the form that most models were trained on."""
    if message["role"] == "tool":
        text = f"{OWN}<tool_response>\n{message['content']}\n{OWN}</tool_response>"
        return {"role": "user", "content": text}
    calls = message.get("tool_calls")
    if not calls:
        return message
    written = [json.dumps(call["function"], ensure_ascii=False) for call in calls]
    texts = [message["content"] or "", *(f"{OWN}<tool_call>\n{call}\n{OWN}</tool_call>" for call in written)]
    rest = {name: value for name, value in message.items() if name != "tool_calls"}
    return rest | {"content": "\n".join(text for text in texts if text)}


def _merge_repeated(messages: Sequence[Message]) -> list[Message]:
    """Join user turns, and assistant turns, that follow one another."""
    merged: list[Message] = []
    for message in messages:
        if merged and message["role"] == merged[-1]["role"] and message["role"] in {"user", "assistant"}:
            merged[-1] = _merged(merged[-1], message)
        else:
            merged.append(message)
    return merged


def _merged(first: Message, second: Message) -> Message:
    both = first | second
    both["content"] = "\n\n".join(text for text in (first["content"], second["content"]) if text)
    if calls := [*first.get("tool_calls", []), *second.get("tool_calls", [])]:
        both["tool_calls"] = calls
    return both

"""A prompt put together turn by turn, for chat templates that rewrite what they wrote before.

Some templates show an answer's thinking only until the next question, move the tools to the last question,
or leave out what stands beside a call once more turns follow. Their prompt of a turn is not the beginning of
the next one's. So each answer is rendered with its neighbours alone: the kind of turns before it, the answer,
and the turns up to the next answer. What the template writes from the answer on is appended to the prompt. An
answer that is kept as it was generated takes the place of its rendering; only what follows it is rendered. So
a prompt grows only by appending, whatever the template does to a whole conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.prompts.answer_memory import AnswerMemory, KeptAnswer, TextDigest
from engine.prompts.history.samples import (
    ANSWER,
    BEFORE,
    BEHIND,
    SampleOptions,
    Samples,
    TurnStart,
    said_by,
    shared_length,
    sketch,
)
from engine.prompts.message_preparation import prepare_messages
from engine.prompts.recalled_history import (
    AnswerStart,
    PromptPiece,
    RecalledAnswer,
    RecalledPrompt,
    joined_pieces,
)
from engine.prompts.template_traits import Render, TemplateTraits
from engine.prompts.tool_texts import ToolTexts
from engine.prompts.turn_arrangement import shown_answer
from engine.wire.chat import Message

_LAST_TOKENS = 64  # of an answer: enough for its last characters and the blanks behind them
_TAIL = 8  # last generated characters that mark the end if no end-of-turn token does
_HEADER = 12  # first characters of an opening, which also open an answer of the past
_TOOL = "probetool"
_CALL_ID = "probe0000"  # nine letters and digits, as some templates want


@dataclass(frozen=True, slots=True)
class ComposedPrompt:
    """A prompt in pieces, and the start of the answer to it."""

    prompt: RecalledPrompt
    start: AnswerStart


@dataclass(frozen=True, slots=True)
class _Unit:
    """An answer, the kind of turns before it, and the turns up to the next answer."""

    before: list[Message]
    answer: Message
    block: list[Message]
    start: TurnStart


class ComposedHistory:
    """Composes the prompts of one chat template; for one thread at a time."""

    def __init__(
        self,
        render: Render,
        mask: Callable[[str], str],
        clear: Callable[[str], str],
        decode: Callable[[Sequence[int]], str],
        spell: Callable[[Sequence[int]], str],
        ends: Collection[str],
        texts: ToolTexts,
    ) -> None:
        """`render` and `mask` write stand-ins, `clear` replaces them; the others as in `RecalledHistory`."""
        self._samples = Samples(render)
        self._mask = mask
        self._clear = clear
        self._decode = decode
        self._spell = spell
        self._ends = tuple(end for end in ends if end)
        self._texts = texts
        self._is_numbered: bool | None = None

    def compose(
        self,
        head: str,
        messages: Sequence[Message],
        traits: TemplateTraits,
        tools: list[dict[str, Any]] | None,
        kwargs: dict[str, Any],
        answers: AnswerMemory,
    ) -> ComposedPrompt | None:
        """The prompt for plain messages; None if the template's way to write a turn is not known.

        `head` is the prompt up to the first answer, with stand-ins. `answers` are the kept ones.
        """
        places = [at for at, message in enumerate(messages) if message["role"] == "assistant"]
        sampling = _Sampling(tools, kwargs, traits)
        composed = _Composed(self._clear)
        text, unplaced = head, 0
        for number, place in enumerate(places):
            stop = places[number + 1] if number + 1 < len(places) else len(messages)
            unit = self._unit(messages, place, stop, sampling)
            if unit is None or not text.endswith(unit.start.opening):
                return None
            composed.add(text[: len(text) - len(unit.start.opening)])
            kept = answers.find(messages[place], composed.digest())
            behind = self._behind(unit, kept, sampling) if kept is not None else None
            if kept is not None and behind is not None:
                composed.add_answer(kept)
                text = behind
                continue
            unplaced += answers.knows(messages[place])
            rendered = self._rendered(unit, sampling)
            if rendered is None:
                return None
            text = rendered
        start = self._start(messages, len(messages), sampling)
        if start is None or not text.endswith(start.opening):
            return None
        composed.add(text[: len(text) - len(start.opening)])
        opened = AnswerStart(composed.digest(), self._clear(start.opening))
        composed.add(start.opening)
        return ComposedPrompt(
            RecalledPrompt(joined_pieces(composed.pieces), tuple(composed.answers), unplaced), opened
        )

    def _turns_before(self, messages: Sequence[Message], place: int, sampling: _Sampling) -> list[Message]:
        """Marker words for what stands before an answer; with all calls for a template that numbers them."""
        before = _before(messages, place)
        calls = sum(len(m.get("tool_calls") or []) for m in messages[:place])
        if calls < 2 or not self._numbers_calls(sampling):
            return before
        head = 1 + (before[0]["role"] == "system")
        known = sum(len(m.get("tool_calls") or []) for m in before)
        return [*before[:head], *_called_turns(calls - known), *before[head:]]

    def _numbers_calls(self, sampling: _Sampling) -> bool:
        """Whether a call or its result is written otherwise behind more calls."""
        if self._is_numbered is None:
            asked, turns = said_by("user", BEFORE), _called_turns(1)
            called, shown = [sketch(turn, ANSWER) for turn in turns], []
            for before in ([asked, *turns], [asked, *turns, *turns]):
                start = self._samples.start(self._prepared(before, sampling), sampling.options)
                text = self._samples.sample(self._prepared([*before, *called], sampling), sampling.options)
                shown.append(_behind(start, text) if start is not None and text is not None else "")
            self._is_numbered = shown[0] != shown[1]
        return self._is_numbered

    def _unit(self, messages: Sequence[Message], place: int, stop: int, sampling: _Sampling) -> _Unit | None:
        start = self._start(messages, place, sampling)
        if start is None:
            return None
        before = self._turns_before(messages, place, sampling)
        return _Unit(before, messages[place], list(messages[place + 1 : stop]), start)

    def _start(self, messages: Sequence[Message], place: int, sampling: _Sampling) -> TurnStart | None:
        before = self._prepared(self._turns_before(messages, place, sampling), sampling)
        if not before:
            return None
        start = self._samples.start(before, sampling.options)
        return self._samples.start(before, sampling.without_tools) if start is None else start

    def _rendered(self, unit: _Unit, sampling: _Sampling) -> str | None:
        """What the template writes for an answer and the turns behind it, generation prompt included."""
        said = sampling.said(unit.answer)
        if not said:
            text = self._sampled(unit, [unit.answer, *unit.block], sampling)
            words = (unit.answer.get("content") or "").split()
            return text if text and all(w in self._clear(text) for w in (*words[:1], *words[-1:])) else None
        calls = {name: value for name, value in unit.answer.items() if name != "reasoning_content"}
        bare = self._sampled(
            unit, [calls | {"content": sampling.traits.empty_content}, *unit.block], sampling
        )
        plain = self._sampled(unit, [said_by("assistant", ANSWER), said_by("user", BEHIND)], sampling)
        if bare is None or plain is None:
            return self._sampled(unit, [unit.answer, *unit.block], sampling)
        lead = shared_length(bare, plain)
        return bare[:lead] + self._mask(said) + bare[lead:]

    def _behind(self, unit: _Unit, kept: KeptAnswer, sampling: _Sampling) -> str | None:
        """What the template writes behind an answer as generated, generation prompt included."""
        if not kept.text:
            kept.text = self._decode(kept.tokens)
        calls = unit.answer.get("tool_calls") or []
        if len(calls) < 2 or sampling.traits.parallel_calls:
            return self._behind_part(unit, unit.answer, unit.block, kept, sampling, last=True)
        text = ""
        for number, call in enumerate(calls):
            last = number == len(calls) - 1
            block = [m for m in unit.block if m.get("tool_call_id") == call["id"]]
            if last:
                known = {other["id"] for other in calls[:-1]}
                block = [m for m in unit.block if m.get("tool_call_id") not in known]
            answer = unit.answer | {"tool_calls": [call]}
            part = self._behind_part(unit, answer, block, kept, sampling, last=last)
            if part is None:
                return None
            text += part if number == 0 else self._without_end(part)
        return text

    def _behind_part(
        self,
        unit: _Unit,
        answer: Message,
        block: list[Message],
        kept: KeptAnswer,
        sampling: _Sampling,
        *,
        last: bool,
    ) -> str | None:
        has_calls = bool(answer.get("tool_calls"))
        own = sketch(answer | {"content": "" if has_calls else ANSWER}, ANSWER)
        own.pop("reasoning_content", None)
        shown = self._sampled(unit, [own, *block], sampling, generation_prompt=last)
        shape = [sketch(message, BEHIND) for message in block] or [said_by("user", BEHIND)]
        sketched = self._sampled(unit, [own, *shape], sampling)
        if shown is None or sketched is None:
            return None
        said, found, _ = sketched.partition(BEHIND)
        at = said.rfind(ANSWER) + len(ANSWER)
        if (
            not found
            or ANSWER not in said
            or ANSWER in sketched[len(said) :]
            or not shown.startswith(said[:at])
        ):
            return None
        close = said[at:]
        if not shown.startswith(close, at):
            close = close[: shared_length(close, shown[at:])]
        return shown[at + self._end(close, kept, unit, shape, sampling) :]

    def _end(
        self, close: str, kept: KeptAnswer, unit: _Unit, shape: list[Message], sampling: _Sampling
    ) -> int:
        """Where in the text behind an answer's last content the answer ends.

        That is at a token that ends answers, else behind the last characters that were generated, else where
        the text begins that the template also writes behind an answer without calls.
        """
        ends = [place for end in self._ends if (place := close.find(end)) >= 0]
        if ends:
            return min(ends)
        said = self._spell(kept.tokens[-_LAST_TOKENS:]).rstrip()
        for end in range(len(close), 0, -1):
            tail = close[max(0, end - _TAIL) : end]
            if tail.strip() and said.endswith(tail):
                return end
        plain = self._sampled(unit, [said_by("assistant", ANSWER), *shape], sampling)
        if plain is None or ANSWER not in plain:
            return 0
        other = plain[plain.index(ANSWER) + len(ANSWER) :].partition(BEHIND)[0]
        return len(close) - shared_length(close[::-1], other[::-1])

    def _without_end(self, text: str) -> str:
        """A text without the mark that ends the answer before it."""
        for end in self._ends:
            if text.startswith(end):
                return text[len(end) :].lstrip("\n")
        return text

    def _sampled(
        self, unit: _Unit, messages: list[Message], sampling: _Sampling, *, generation_prompt: bool = True
    ) -> str | None:
        """The rendering of messages behind those before the unit's answer."""
        prepared = self._prepared([*unit.before, *messages], sampling)
        for options in (sampling.options, sampling.without_tools):
            text = self._samples.sample(prepared, options, generation_prompt)
            behind = _behind(unit.start, text) if text is not None else ""
            if behind and _TOOL not in behind:
                return behind
        return None

    def _prepared(self, messages: Sequence[Message], sampling: _Sampling) -> list[Message]:
        return prepare_messages(messages, sampling.traits, self._texts).messages


class _Sampling:
    """How samples are rendered; the tools have marker words for descriptions, which no turn may show."""

    def __init__(
        self, tools: list[dict[str, Any]] | None, kwargs: dict[str, Any], traits: TemplateTraits
    ) -> None:
        self.traits = replace(traits, named_call_ids=False)
        self.options = SampleOptions([_sketched_tool(tool) for tool in tools or []], kwargs)
        self.without_tools = SampleOptions(None, kwargs)

    def said(self, answer: Message) -> str:
        """The text of an answer that the template does not show beside its calls; empty for none."""
        if self.traits.call_text != "result" or not answer.get("tool_calls"):
            return ""
        return str(shown_answer(answer, self.traits)["content"] or "")


class _Composed:
    """A prompt that grows: its pieces, the answers in it, and the digest of its text."""

    def __init__(self, clear: Callable[[str], str]) -> None:
        self._clear = clear
        self._so_far = TextDigest()
        self._length = 0
        self.pieces: list[PromptPiece] = []
        self.answers: list[RecalledAnswer] = []

    def add(self, text: str) -> None:
        if text:
            self.pieces.append(PromptPiece(text))
            self._so_far.add(self._clear(text))
            self._length += len(text)

    def add_answer(self, kept: KeptAnswer) -> None:
        begin = self._length
        self.add(kept.opening)
        self.pieces.append(PromptPiece(kept.text, kept.tokens))
        self._so_far.add(kept.text)
        self._length += len(kept.text)
        self.answers.append(RecalledAnswer(begin, self._length, ""))

    def digest(self) -> bytes:
        return self._so_far.value()


def _before(messages: Sequence[Message], place: int) -> list[Message]:
    """Marker words for the turns before an answer: the answer before it and all turns since, else the head.

    Calls have ids of their own, so that turns of one kind have one sample.
    """
    last = next((at for at in range(place - 1, -1, -1) if messages[at]["role"] == "assistant"), -1)
    if last < 0:
        return [sketch(message, BEFORE) for message in messages[:place]]
    answer = sketch(messages[last], BEFORE)
    answer.pop("reasoning_content", None)
    calls = answer.get("tool_calls") or []
    dropped = {call["id"] for call in calls[:-1]}
    block = [sketch(m, BEFORE) for m in messages[last + 1 : place] if m.get("tool_call_id") not in dropped]
    if calls:
        answer["tool_calls"] = [calls[-1] | {"id": _CALL_ID}]
        known = calls[-1]["id"]
        block = [m | {"tool_call_id": _CALL_ID} if m.get("tool_call_id") == known else m for m in block]
    system = [said_by("system", BEFORE)] if messages[0]["role"] == "system" else []
    return [*system, said_by("user", BEFORE), answer, *block]


def _called_turns(count: int) -> list[Message]:
    """Turns with a call each, and their results."""
    function = {"name": "probekilo", "arguments": {"probe": BEFORE}}
    call = {"id": _CALL_ID, "type": "function", "function": function}
    answer = {"role": "assistant", "content": "", "tool_calls": [call]}
    result = {"role": "tool", "content": BEFORE, "tool_call_id": _CALL_ID, "name": "probekilo"}
    return [answer, result] * count


def _behind(start: TurnStart, sample: str) -> str:
    """The rest of a sample from the answer's turn on.

    What stands before it may be written otherwise than in a prompt that ends there, so the turn is also found
    by its opening, of which the last part may be missing: it can open thinking.
    """
    if behind := start.behind(sample):
        return behind
    rest = sample[sample.rfind(BEFORE) + len(BEFORE) :] if BEFORE in sample else ""
    opening = start.opening.strip()
    for size in (_HEADER, *range(min(_HEADER, len(opening)) - 1, 2, -1)):
        if opening and (place := rest.find(opening[:size])) >= 0:
            return rest[place:]
    shared = shared_length(rest, start.glue) if not opening else 0
    return rest[shared:] if shared else ""


def _sketched_tool(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    if not isinstance(function, dict):
        return tool
    return tool | {"function": function | {"description": _TOOL}}

"""Samples of what a chat template writes: a few messages whose contents are marker words.

The markers show what belongs to an answer and what the template writes around it.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.prompts.template_traits import Render
from engine.wire.chat import Message

BEFORE, ANSWER, BEHIND = "probebefore", "probeanswer", "probebehind"
_REMEMBERED_CHARACTERS = 16 << 20  # of samples and their messages


@dataclass(frozen=True, slots=True)
class TurnStart:
    """The start of an answer's turn in a sample: after `words` marker words and `glue`.

    The text before may differ: some templates write thinking only until the next question.
    """

    words: int
    glue: str
    opening: str  # the text of the prompt there

    def behind(self, sample: str) -> str:
        """The rest of a sample from there on; empty if it has no such place."""
        at = 0
        for _ in range(self.words):
            if (found := sample.find(BEFORE, at)) < 0:
                return ""
            at = found + len(BEFORE)
        return sample[at + len(self.glue) :] if sample.startswith(self.glue, at) else ""


class Samples:
    """Renders samples of one chat template, and caches them; for one thread at a time."""

    def __init__(self, render: Render) -> None:
        self._render = render
        self._samples: OrderedDict[str, str | None] = OrderedDict()
        self._room = _REMEMBERED_CHARACTERS

    def start(self, before: Sequence[Message], sampling: SampleOptions) -> TurnStart | None:
        """The start of the turn of the answer to these messages."""
        asked = self.sample(before, sampling)
        if asked is None:
            return None
        said = asked.rfind(BEFORE) + len(BEFORE) if BEFORE in asked else 0
        plain = self.sample(before, sampling, generation_prompt=False)
        if plain is not None and said <= len(plain) < len(asked) and asked.startswith(plain):
            at = len(plain)
        else:  # the template always writes a generation prompt, or never
            answered = [*before, said_by("assistant", BEHIND)]
            later = [
                self.sample(answered, sampling, generation_prompt=False),
                self.sample([*answered, said_by("user", BEHIND)], sampling),
            ]
            known = [shared_length(asked, text) for text in later if text is not None]
            at = min((length for length in known if length >= said), default=-1)
            if at < 0 and plain == asked and any(_closes_alike(asked, text) for text in later if text):
                at = len(asked)  # only what stands before the last content differs
        return TurnStart(asked.count(BEFORE), asked[said:at], asked[at:]) if at >= 0 else None

    def sample(
        self, messages: Sequence[Message], sampling: SampleOptions, generation_prompt: bool = True
    ) -> str | None:
        """The rendering of a few messages, cached; None if the template refuses them."""
        tools = sampling.tools_for(messages)
        name = json.dumps([messages, tools, sampling.kwargs, generation_prompt], default=str)
        if name in self._samples:
            self._samples.move_to_end(name)
            return self._samples[name]
        try:
            text = self._render(messages, tools, add_generation_prompt=generation_prompt, **sampling.kwargs)
        except Exception:  # a template may raise anything; then the answer has no known place
            text = None
        self._samples[name] = text
        self._room -= len(name) + len(text or "")
        while self._room < 0 and len(self._samples) > 1:
            oldest, made = self._samples.popitem(last=False)
            self._room += len(oldest) + len(made or "")
        return text


def _closes_alike(asked: str, later: str) -> bool:
    """Whether a text goes on behind the last marker word as the other one ends."""
    end = asked.rpartition(BEFORE)[2]
    return bool(end) and later.rpartition(BEFORE)[2].startswith(end)


class SampleOptions:
    """The arguments and tools of samples; only the tools that a sample calls, since tools are long."""

    def __init__(self, tools: list[dict[str, Any]] | None, kwargs: dict[str, Any]) -> None:
        self.kwargs = kwargs
        self._first = (tools or [])[:1] or None
        self._named = {str(_tool_name(tool)): tool for tool in tools or []}

    def tools_for(self, messages: Sequence[Message]) -> list[dict[str, Any]] | None:
        called = {call["function"]["name"] for m in messages for call in m.get("tool_calls") or []}
        return [self._named[name] for name in sorted(called) if name in self._named] or self._first


def _tool_name(tool: dict[str, Any]) -> Any:
    function = tool.get("function")
    return function.get("name") if isinstance(function, dict) else None


def turns_before(messages: Sequence[Message], at: int) -> list[Message]:
    """Marker words for the messages before `at`: a question, and the previous turn if it is not one."""
    if at == 0:
        return []
    first = at - 1
    while messages[first]["role"] == "tool" and first > 0:
        first -= 1
    system = [said_by("system", BEFORE)] if messages[0]["role"] == "system" and first > 0 else []
    last = [sketch(message, BEFORE) for message in messages[first:at]]
    for message in last:
        message.pop("reasoning_content", None)
    asks = last[0]["role"] == "user" or (last[0]["role"] == "system" and first == 0)
    return [*system, *last] if asks else [*system, said_by("user", BEFORE), *last]


def shared_length(one: str, other: str) -> int:
    """The length of the common prefix of two texts."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def said_by(role: str, text: str) -> Message:
    return {"role": role, "content": text}


def sketch(message: Message, word: str) -> Message:
    """A message of the same shape whose text is only `word`: the same calls with other arguments."""
    sketch = dict(message)
    if message["role"] in {"user", "tool"} or (message.get("content") or "").strip():
        sketch["content"] = word
    if message.get("reasoning_content"):
        sketch["reasoning_content"] = word
    if calls := message.get("tool_calls"):
        sketch["tool_calls"] = [_sketched_call(call, word) for call in calls]
    return sketch


def _sketched_call(call: dict[str, Any], word: str) -> dict[str, Any]:
    arguments: Any = {"probe": word}
    if isinstance(call["function"]["arguments"], str):
        arguments = json.dumps(arguments)
    return call | {"function": call["function"] | {"arguments": arguments}}

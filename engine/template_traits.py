"""What a model's chat template can take, found by rendering small probe conversations when the model loads.

Templates differ and say so only by raising, or by dropping what they do not know. Each trait is tried once
with marker words, whose places in the rendered text tell what happened.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.chat_wire import Message

Render = Callable[..., str]
"""`(messages, tools, add_generation_prompt=True, **template_kwargs)`; raises whatever the template raises."""

PROBE_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "probekilo",
        "description": "probelima",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    },
}

# Without these, some templates drop the thinking of earlier turns, and with it the prefix that is cached.
_STEADY_KWARGS = {"preserve_thinking": True, "clear_thinking": False, "truncate_history_thinking": False}


@dataclass(frozen=True, slots=True)
class TemplateTraits:
    """How conversations have to be put to one chat template."""

    first_system: bool = True  # a leading system entry is shown
    system_in_place: bool = True  # a later one stays where it stands
    repeated_roles: bool = True  # two user, or two assistant, turns in a row are shown as such
    tools_shown: bool = True
    tool_turns: bool = True  # calls and results are shown
    text_arguments: bool = False  # a call's arguments go in as a JSON string, not as a mapping
    short_call_ids: bool = False  # ids must be nine letters and digits (Mistral)
    empty_content: str | None = ""  # of a message that only calls tools; transformers leaves None out
    thinking_switch: str = ""  # the template argument that turns thinking on and off
    steady_kwargs: dict[str, Any] = field(default_factory=dict)
    turn_starts: frozenset[int] = frozenset()  # special tokens that a turn begins with


def probe_template(
    render: Render, *, template_text: str, encode: Callable[[str], list[int]], special: frozenset[int]
) -> TemplateTraits:
    """Find the traits of the template behind `render`."""
    first_system = _shows(render, [_system("probealpha"), _user("probebravo")], ["probealpha", "probebravo"])
    lead = [_system("probealpha")] if first_system else []
    calls = _call_traits(render, lead)
    return TemplateTraits(
        first_system=first_system,
        system_in_place=first_system and _keeps_system(render),
        repeated_roles=_repeats(render, lead),
        tools_shown=_shows_tools(render, [*lead, _user("probebravo")]),
        thinking_switch=_thinking_switch(render, lead),
        steady_kwargs={name: value for name, value in _STEADY_KWARGS.items() if name in template_text},
        turn_starts=_turn_starts(render, lead, encode, special),
        **calls,
    )


def _system(text: str) -> Message:
    return {"role": "system", "content": text}


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def _attempt(render: Render, messages: list[Message], tools: Any = None, **kwargs: Any) -> str | None:
    try:
        return render(messages, tools, **kwargs)
    except Exception:  # a template may raise anything: its own refusals, type errors, undefined names
        return None


def _in_order(text: str | None, words: Iterable[str]) -> bool:
    """Whether each word stands in the text once, one behind the other."""
    if text is None:
        return False
    places = [text.find(word) for word in words]
    return -1 not in places and places == sorted(places) and all(text.count(word) == 1 for word in words)


def _shows(render: Render, messages: list[Message], words: list[str], tools: Any = None) -> bool:
    text = _attempt(render, messages, tools)
    return text is not None and all(word in text for word in words)


def _shows_tools(render: Render, messages: list[Message]) -> bool:
    """Whether offering a tool changes the prompt; not all templates show all that is said of it."""
    return _attempt(render, messages, [PROBE_TOOL]) not in (None, _attempt(render, messages))


def _keeps_system(render: Render) -> bool:
    before = [_system("probealpha"), _user("probebravo"), _system("probecharlie")]
    after = [_assistant("probedelta"), _user("probeecho"), _system("probefoxtrot"), _assistant("probegolf")]
    words = [
        "probealpha",
        "probebravo",
        "probecharlie",
        "probedelta",
        "probeecho",
        "probefoxtrot",
        "probegolf",
    ]
    short, long = _attempt(render, before), _attempt(render, before + after)
    if short is None or long is None or words[2] not in short:
        return False
    return _in_order(long, words) and long.startswith(short[: short.index("probecharlie")])


def _repeats(render: Render, lead: list[Message]) -> bool:
    words = ["probebravo", "probecharlie", "probedelta", "probeecho"]
    turns = [_user(words[0]), _user(words[1]), _assistant(words[2]), _assistant(words[3])]
    return _in_order(_attempt(render, [*lead, *turns, _user("probehotel")]), words)


def _call_traits(render: Render, lead: list[Message]) -> dict[str, Any]:
    """Try the forms in which templates want calls, the most common first."""
    words = ["probebravo", "probemike", "probenovember"]
    for empty, as_text, short in itertools.product(("", None), (False, True), (False, True)):
        text = _attempt(render, [*lead, *_call_turns(empty, as_text, short)], [PROBE_TOOL])
        # A mapping where text is wanted, or text where a mapping is, shows as escapes or quotes of Python.
        if (
            _in_order(text, words)
            and text is not None
            and '\\"probemike' not in text
            and "'probemike" not in text
        ):
            return {
                "tool_turns": True,
                "text_arguments": as_text,
                "short_call_ids": short,
                "empty_content": empty,
            }
    return {"tool_turns": False}


def _call_turns(empty: str | None, as_text: bool, short: bool) -> list[Message]:
    call_id = "probe0123" if short else "call_0123456789abcdef01234567"
    arguments: Any = '{"path": "probemike"}' if as_text else {"path": "probemike"}
    call = {"id": call_id, "type": "function", "function": {"name": "probekilo", "arguments": arguments}}
    return [
        _user("probebravo"),
        {"role": "assistant", "content": empty, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "name": "probekilo", "content": "probenovember"},
    ]


def _thinking_switch(render: Render, lead: list[Message]) -> str:
    turns = [*lead, _user("probebravo")]
    for name in ("enable_thinking", "thinking"):
        on, off = (_attempt(render, turns, **{name: value}) for value in (True, False))
        if on is not None and off is not None and on != off:
            return name
    return ""


def _turn_starts(
    render: Render, lead: list[Message], encode: Callable[[str], list[int]], special: frozenset[int]
) -> frozenset[int]:
    """The special tokens in front of which a turn has ended and the next begins.

    Between two contents stands `end, start, ...` (ChatML, Llama, Gemma, Harmony) or a start alone (GLM,
    DeepSeek before an answer); so the second special token counts, or the only one.
    """
    words = ["probebravo", "probecharlie", "probedelta"]
    turns = [_user(words[0]), _assistant(words[1]), _user(words[2])]
    text = _attempt(render, [*lead, *turns])
    if text is None or not _in_order(text, words):
        return frozenset()
    shown = ["probealpha", *words] if lead and text.find("probealpha") < text.find(words[0]) else words
    starts = set()
    for glue in _between(text, shown):
        tokens = [token for token in encode(glue) if token in special]
        starts.update(tokens[1:2] or tokens[:1])
    return frozenset(starts)


def _between(text: str, words: Sequence[str]) -> list[str]:
    return [
        text[text.index(first) + len(first) : text.index(second)]
        for first, second in itertools.pairwise(words)
    ]

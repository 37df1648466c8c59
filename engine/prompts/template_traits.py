"""What a model's chat template accepts, found by rendering small probe conversations when the model loads.

Templates differ, and show it only by raising or by dropping what they do not support. Each trait is probed
once with marker words, whose positions in the rendered text show the result.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from engine.wire.chat import Message

Render = Callable[..., str]
"""`(messages, tools, add_generation_prompt=True, **template_kwargs)`; raises whatever the template raises."""

CallText = Literal["beside", "before", "result"]
"""In the turn of the calls, in a turn before it, or with the first result."""

PROBE_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "probekilo",
        "description": "probelima",
        "parameters": {
            "type": "object",
            "properties": {"path": {"type": "string", "description": "probeyankee"}},
            "required": ["path"],
        },
    },
}

# Without these, some templates drop the thinking of earlier turns, so that prompts diverge from the cache.
_STEADY_KWARGS = {
    "preserve_thinking": True,
    "clear_thinking": False,
    "truncate_history_thinking": False,
    "drop_thinking": False,
    "keep_past_thinking": True,
    "preserved_thinking": True,
    "keep_tool_result": -1,
}


@dataclass(frozen=True, slots=True)
class TemplateTraits:
    """How conversations must be given to one chat template."""

    first_system: bool = True  # a leading system message is rendered
    system_in_place: bool = True  # a later one stays in place
    repeated_roles: bool = True  # consecutive user, or assistant, turns are rendered separately
    tools_rendered: bool = True
    tool_turns: bool = True  # calls and results are rendered
    text_arguments: bool = False  # a call's arguments are passed as a JSON string, not as a mapping
    short_call_ids: bool = False  # ids must be nine letters and digits (Mistral)
    named_call_ids: bool = False  # a call's name is in its id alone: functions.NAME:NUMBER (Kimi)
    empty_content: str | None = ""  # content of a message that only calls tools; transformers omits None
    parallel_calls: bool = True  # all calls of a turn are rendered
    call_text: CallText = "beside"  # where the text of an answer with calls is rendered
    thought_with_calls: bool = True  # text and thinking may accompany calls together
    user_after_result: bool = True  # a user turn directly behind a result is rendered
    unanswered_calls: bool = True  # so is a call without a result
    orphan_results: bool = True  # so is a result without a call
    assistant_first: bool = True  # so is a conversation that begins with an assistant turn
    content_parts: bool = False  # content is a list of parts; a string is not rendered
    thinking_field: str = "reasoning_content"  # of `engine.prompts.message_form.THINKING_FIELDS`
    thinking_text: tuple[str, str] | None = None  # the marks around thinking that is written as text
    needs_system: bool = False  # a conversation without a system text is not all rendered
    tools_need_system: bool = False  # tools are rendered only beside a system text
    tools_as_text: bool = False  # tools are written into the system text
    selects: bool = False  # it says that it leaves content out on purpose: `engine.prompts.probing.finding`
    empty_answers: bool = True  # an answer without text and calls is accepted
    thinking_switch: str = ""  # the template argument that switches thinking
    texts_placed: bool = False  # it shortens texts, and is given words in their place
    turns_alone: Literal["", "own", "plain"] = (
        ""  # it shows the last turns: see `engine.prompts.message_form`
    )
    fields_set: bool = False  # it sets fields of messages, which Jinja allows of namespaces alone
    fixed_kwargs: dict[str, Any] = field(default_factory=dict)
    composed: bool = False  # prompts are put together turn by turn: `engine.prompts.history.composition`
    turn_starts: frozenset[int] = frozenset()  # special tokens that a turn begins with

    def document(self) -> dict[str, Any]:
        """The traits as JSON."""
        marks = None if self.thinking_text is None else list(self.thinking_text)
        return asdict(self) | {"turn_starts": sorted(self.turn_starts), "thinking_text": marks}


def probe_template(
    render: Render, *, template_text: str, encode: Callable[[str], list[int]], special: frozenset[int]
) -> TemplateTraits:
    """Find the traits of the template behind `render`."""
    given, asked = render, [_user("probebravo")]
    if _attempt(render, asked) is None and _attempt(render, asked, [PROBE_TOOL]) is not None:
        render = _with_tools(render)  # a template that requires tools
    first_system = _system_first(render)
    lead = [_system("probealpha")] if first_system else []
    calls = _call_traits(render, lead)
    return TemplateTraits(
        first_system=first_system,
        system_in_place=first_system and _keeps_system(render),
        repeated_roles=_repeats(render, lead),
        tools_rendered=_shows_tools(given, [*lead, _user("probebravo")]),
        thinking_switch=_thinking_switch(render, lead),
        fixed_kwargs={
            name: value
            for name, value in _STEADY_KWARGS.items()
            if re.search(rf"\b{name}\b", template_text) and not _refuses(render, [*lead, *asked], name, value)
        },
        turn_starts=_turn_starts(render, lead, encode, special),
        assistant_first=_shows(
            render, [*lead, _assistant("probeoscar"), _user("probebravo")], ["probeoscar"]
        ),
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
    except Exception:  # a template may raise anything: refusals, type errors, undefined names
        return None


def _refuses(render: Render, messages: list[Message], name: str, value: Any) -> bool:
    """Whether a template refuses an argument."""
    return _attempt(render, messages, **{name: value}) is None and _attempt(render, messages) is not None


def _with_tools(render: Render) -> Render:
    return lambda messages, tools, **kwargs: render(messages, tools or [PROBE_TOOL], **kwargs)


def _in_order(text: str | None, words: Iterable[str]) -> bool:
    """Whether the text contains each word once, in this order."""
    if text is None:
        return False
    places = [text.find(word) for word in words]
    return -1 not in places and places == sorted(places) and all(text.count(word) == 1 for word in words)


def _shows(render: Render, messages: list[Message], words: list[str], tools: Any = None) -> bool:
    text = _attempt(render, messages, tools)
    return text is not None and all(word in text for word in words)


def _shows_tools(render: Render, messages: list[Message]) -> bool:
    """Whether a tool changes the prompt; not all templates render everything about it."""
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


def _system_first(render: Render) -> bool:
    """Whether a leading system message is rendered first, also when the conversation grows."""
    lead, asked = _system("probealpha"), [_user("probebravo")]
    said = [*asked, _assistant("probecharlie"), _user("probedelta")]
    words = ["probebravo", "probecharlie", "probedelta"]
    if not _stands_first(_attempt(render, [lead, *asked]), "probealpha", "probebravo"):
        return False
    grown = _attempt(render, [lead, *said])
    return _stands_first(grown, "probealpha", "probebravo") or not _in_order(_attempt(render, said), words)


def _stands_first(text: str | None, word: str, other: str) -> bool:
    return text is not None and -1 < text.find(word) < text.find(other)


def _call_traits(render: Render, lead: list[Message]) -> dict[str, Any]:
    """Try the forms in which templates accept calls, the most common first."""
    words = ["probebravo", "probemike", "probenovember"]
    for empty, as_text, short in itertools.product(("", None), (False, True), (False, True)):
        form = _CallForm(empty, as_text, short)
        calls = form.turn("probemike")
        text = _attempt(
            render, [*lead, _user("probebravo"), calls, *form.results("probenovember")], [PROBE_TOOL]
        )
        # A mapping in place of text, or the reverse, is rendered with escapes or Python's quotes.
        if (
            _in_order(text, words)
            and text is not None
            and '\\"probemike' not in text
            and "'path': 'probemike" not in text
        ):
            return {
                "tool_turns": True,
                "text_arguments": as_text,
                "short_call_ids": short,
                "empty_content": empty,
                "named_call_ids": not short
                and "probekilo" not in text[text.find(words[0]) : text.find(words[2])]
                and form.first_id in text,
            } | _call_turn_traits(render, lead, form)
    return {"tool_turns": False}


@dataclass(frozen=True, slots=True)
class _CallForm:
    """A form of calls, and turns in it; arguments and contents are one word each."""

    empty: str | None
    as_text: bool
    short: bool

    def turn(self, *words: str, text: str = "", thinking: str = "") -> Message:
        calls = [self._call(number, word) for number, word in enumerate(words)]
        turn: Message = {"role": "assistant", "content": text or self.empty, "tool_calls": calls}
        return turn | ({"reasoning_content": thinking} if thinking else {})

    def results(self, *words: str) -> list[Message]:
        return [
            {"role": "tool", "tool_call_id": self._id(number), "name": "probekilo", "content": word}
            for number, word in enumerate(words)
        ]

    @property
    def first_id(self) -> str:
        return self._id(0)

    def _id(self, number: int) -> str:
        return f"probe012{number}" if self.short else f"call_0123456789abcdef0123456{number}"

    def _call(self, number: int, word: str) -> dict[str, Any]:
        arguments: Any = f'{{"path": "{word}"}}' if self.as_text else {"path": word}
        function = {"name": "probekilo", "arguments": arguments}
        return {"id": self._id(number), "type": "function", "function": function}


def _call_turn_traits(render: Render, lead: list[Message], form: _CallForm) -> dict[str, Any]:
    """How turns with calls may be combined with each other and with other turns."""
    asked, call, result = _user("probebravo"), form.turn("probemike"), form.results("probenovember")
    answered, later = _assistant("proberomeo"), _user("probesierra")

    def text_of(*turns: Message) -> str | None:
        return _attempt(render, [*lead, asked, *turns], [PROBE_TOOL])

    def shown(*turns: Message, words: str) -> bool:
        text = text_of(*turns)
        return text is not None and all(f"probe{word}" in text for word in words.split())

    def in_order(*turns: Message) -> bool:
        words = ["probebravo", "probeoscar", "probemike", "probenovember", "proberomeo", "probesierra"]
        return _in_order(text_of(*turns, *result, answered, later), words)

    beside, before = form.turn("probemike", text="probeoscar"), [_assistant("probeoscar"), call]
    text: CallText = "result"
    if not in_order(beside) and in_order(*before):
        text = "before"
    elif shown(beside, *result, answered, later, words="bravo oscar mike november romeo sierra"):
        text = "beside"
    both = form.turn("probemike", text="probeoscar", thinking="probetango")
    two = [form.turn("probemike", "probepapa"), *form.results("probenovember", "probequebec")]
    return {
        "parallel_calls": shown(*two, words="bravo mike papa november quebec"),
        "call_text": text,
        "thought_with_calls": shown(both, *result, words="bravo oscar mike november"),
        "user_after_result": shown(
            call, *result, later, answered, _user("probetango"), words="november sierra romeo tango"
        ),
        "unanswered_calls": shown(call, later, words="bravo mike sierra"),
        "orphan_results": shown(*result, words="bravo november"),
    }


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
    """The special tokens that begin a turn.

    Between two contents the template writes `end, start, ...` (ChatML, Llama, Gemma, Harmony) or a start
    alone (GLM, DeepSeek before an answer); so the second special token is the start, or the only one.
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

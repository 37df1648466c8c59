"""What a chat template refuses is rendered in another form, so that no refusal ends a session.

The traits of a template, found when the model loads, avoid most refusals. For the rest, the conversation is
changed step by step: first each step alone, then the steps up to it together. The last steps cannot be
refused: a transcript in one user turn, and a transcript without the template. A step changes each turn
independently, so that the beginning of a conversation stays the same once a step is needed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.prompts.message_preparation import PreparedMessages, prepare_messages
from engine.prompts.template_traits import Render, TemplateTraits
from engine.prompts.tool_texts import ToolTexts
from engine.wire.chat import Message, content_text

_TITLES = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Result"}
_ALTERNATING: dict[str, Any] = {
    "repeated_roles": False,
    "user_after_result": False,
    "unanswered_calls": False,
    "orphan_results": False,
    "assistant_first": False,
}
TOOLS_AS_TEXT = "the tools are written out as text before the conversation"
_TEXT_ONLY: dict[str, Any] = {"tool_turns": False, "repeated_roles": False, "assistant_first": False}

Tools = list[dict[str, Any]] | None
RenderTranscript = Callable[[Sequence[Message]], str]


@dataclass(frozen=True, slots=True)
class RenderedText:
    """A prompt's text, what the template was given for it, and notes on what was changed."""

    text: str
    prepared: PreparedMessages
    tools: Tools
    kwargs: dict[str, Any]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Step:
    """One change of a conversation: other traits, or tools in another form."""

    note: str
    traits: dict[str, Any] = field(default_factory=dict)
    complete_tools: bool = False
    tools_as_text: bool = False


_STEPS = (
    _Step("the ids of calls are nine letters and digits each", {"short_call_ids": True}),
    _Step("a turn of the user stands first", {"assistant_first": False}),
    _Step("each call stands in a turn of its own, with its result", {"parallel_calls": False}),
    _Step(
        "text beside calls stands in a turn before them", {"call_text": "before", "thought_with_calls": False}
    ),
    _Step("text beside calls stands with their result", {"call_text": "result"}),
    _Step("turns were joined so that users and assistants alternate", _ALTERNATING),
    _Step("system entries stand in the turns of the user", {"first_system": False, "system_in_place": False}),
    _Step("missing tools, descriptions and parameters are given as empty", complete_tools=True),
    _Step(TOOLS_AS_TEXT, tools_as_text=True),
    _Step("calls and results are written as text", _TEXT_ONLY),
)


def render_with_fallbacks(
    render: Render,
    transcript: RenderTranscript,
    traits: TemplateTraits,
    messages: Sequence[Message],
    tools: Tools,
    kwargs: dict[str, Any],
    texts: ToolTexts,
) -> RenderedText:
    """The prompt for these messages: rendered by the template, changed if it refuses them.

    `transcript` renders without the template, `texts` writes tools and calls as text.
    """
    refusal = ""
    tried: list[tuple[list[Message], Tools]] = []
    for changes in _changes():
        other = dataclasses.replace(traits, **_merged(changes))
        given, offered = messages, tools
        if any(step.tools_as_text for step in changes):
            given, offered = texts.with_tools(messages, tools), None
        elif any(step.complete_tools for step in changes):
            offered = _completed(tools)
        prepared = prepare_messages(given, other, texts)
        if (prepared.messages, offered) in tried:
            continue
        tried.append((prepared.messages, offered))
        try:
            text = render(prepared.messages, offered, **kwargs)
        except Exception as error:  # a template may raise anything about its input
            refusal = refusal or str(error) or type(error).__name__
            continue
        notes = [*prepared.notes, *([_note(refusal, changes)] if changes else [])]
        return RenderedText(text, prepared, offered, kwargs, tuple(notes))
    return _one_turn(render, transcript, traits, messages, tools, kwargs, texts, refusal)


def plain_transcript(messages: Sequence[Message]) -> str:
    """The prompt for a model without a chat template."""
    return "\n\n".join([*_transcript_lines(messages), "Assistant:"])


def _transcript_lines(messages: Sequence[Message]) -> list[str]:
    return [f"{_TITLES.get(m['role'], m['role'])}: {content_text(m.get('content'))}" for m in messages]


def _changes() -> Iterator[tuple[_Step, ...]]:
    """No step, then each step alone, then the first steps together, one more each time."""
    yield ()
    for step in _STEPS:
        yield (step,)
    for count in range(2, len(_STEPS) + 1):
        yield _STEPS[:count]


def _merged(changes: Sequence[_Step]) -> dict[str, Any]:
    return {name: value for step in changes for name, value in step.traits.items()}


def _note(refusal: str, changes: Sequence[_Step]) -> str:
    done = "; ".join(step.note for step in changes)
    return f"the model's chat template refuses these messages ({refusal}); so, in all of them, {done}"


def _one_turn(
    render: Render,
    transcript: RenderTranscript,
    traits: TemplateTraits,
    messages: Sequence[Message],
    tools: Tools,
    kwargs: dict[str, Any],
    texts: ToolTexts,
    refusal: str,
) -> RenderedText:
    """All text in one user turn; without tools and arguments if the template refuses those too."""
    turn: Callable[[Tools], list[Message]] = lambda written: [  # noqa: E731
        {
            "role": "user",
            "content": "\n\n".join(
                [*([texts.tools(written)] if written else []), *_lines(messages, traits, texts)]
            ),
        }
    ]
    note = f"the model's chat template refuses these messages ({refusal}); they are a transcript in one turn"
    for offered, written, options in ((tools, None, kwargs), (None, tools, kwargs), (None, tools, {})):
        prepared = PreparedMessages(turn(written), (), ())
        try:
            text = render(prepared.messages, offered or None, **options)
        except Exception as error:  # see above
            refusal = str(error) or type(error).__name__
            continue
        return RenderedText(text, prepared, offered, options, (note, *([TOOLS_AS_TEXT] if written else [])))
    return _transcript(transcript, traits, messages, tools, texts, refusal)


def _transcript(
    transcript: RenderTranscript,
    traits: TemplateTraits,
    messages: Sequence[Message],
    tools: Tools,
    texts: ToolTexts,
    refusal: str,
) -> RenderedText:
    prepared = PreparedMessages(_as_text(texts.with_tools(messages, tools), traits, texts), (), ())
    text = transcript(prepared.messages)
    note = (
        f"the model's chat template refuses even one turn of the user ({refusal}); the prompt is a plain"
        " transcript, which the model may not know"
    )
    return RenderedText(text, prepared, None, {}, (note, *([TOOLS_AS_TEXT] if tools else [])))


def _lines(messages: Sequence[Message], traits: TemplateTraits, texts: ToolTexts) -> list[str]:
    return _transcript_lines(_as_text(messages, traits, texts))


def _as_text(messages: Sequence[Message], traits: TemplateTraits, texts: ToolTexts) -> list[Message]:
    other = dataclasses.replace(
        traits,
        tool_turns=False,
        thinking_text=traits.thinking_text or ("<think>", "</think>"),
    )
    return prepare_messages(messages, other, texts).messages


def _completed(tools: Tools) -> Tools:
    """Tools with all fields that templates use; an empty list for a template that requires tools."""
    return [_complete(tool) for tool in tools or []]


def _complete(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    if not isinstance(function, dict):
        return tool
    parameters = function.get("parameters")
    parameters = parameters if isinstance(parameters, dict) else {}
    properties = parameters.get("properties")
    described = {
        name: {"type": "string", "description": ""} | shape if isinstance(shape, dict) else shape
        for name, shape in (properties if isinstance(properties, dict) else {}).items()
    }
    whole = {"type": "object", "required": []} | parameters | {"properties": described}
    function = function | {"description": function.get("description") or "", "parameters": whole}
    return tool | {"type": "function", "function": function}

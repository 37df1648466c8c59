"""Where a chat template takes the project's part of a system text, and what that saves a new project.

Claude Code's system text names the project's memory folder before its end. Templates write the tools behind
the system text, so that the prompt of a new project shares nothing behind that name with those of others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from engine.prompts.message_preparation import prepare_messages
from engine.prompts.template_traits import PROBE_TOOL, Render, TemplateTraits
from engine.prompts.tool_texts import ToolTexts
from engine.prompts.turn_arrangement import has_project_text, project_text_behind
from engine.wire.chat import PROJECT_TEXT, Message

_SHARED, _PROJECT, _ASKED = "probealpha", "probecharlie", "probebravo"
_TOOL_WORD = "probekilo"
_SENTENCE = "Read the file at its path before a change, and check what the command wrote. "
_SYSTEM_BEFORE, _SYSTEM_OWN, _SYSTEM_AFTER = 3900, 2900, 1600  # characters, as in Claude Code 2.1.332
_TOOL_SIZES = (9800, 5200, 4700, 2600, 2300, 2100, 1900, 1800, 1400, 1300, 900, 900)  # of their descriptions


class ProjectPlace:
    """The place of the project's part of a system text in the prompts of one template."""

    def __init__(self, render: Render, texts: ToolTexts) -> None:
        self._render, self._texts = render, texts
        self._is_behind: bool | None = None

    def arranged(self, messages: list[Message], traits: TemplateTraits) -> list[Message]:
        """Messages with that part behind the tools, where the template takes a system turn there."""
        if has_project_text(messages) and self.is_behind_tools(traits):
            return project_text_behind(messages)
        return messages

    def is_behind_tools(self, traits: TemplateTraits) -> bool:
        """Whether a second system turn is rendered behind the tools, and the tools behind the first one."""
        if self._is_behind is None:
            self._is_behind = _is_behind_tools(self._render, traits, self._texts)
        return self._is_behind


def _is_behind_tools(render: Render, traits: TemplateTraits, texts: ToolTexts) -> bool:
    if not traits.system_in_place:
        return False
    messages = [_system(_SHARED), _system(_PROJECT), {"role": "user", "content": _ASKED}]
    tools: list[dict[str, Any]] | None = [PROBE_TOOL]
    if traits.tools_as_text:
        messages, tools = texts.with_tools(messages, tools), None
    try:
        text = render(prepare_messages(messages, traits, texts).messages, tools)
    except Exception:  # a template may raise anything
        return False
    places = [text.find(_SHARED), text.rfind(_TOOL_WORD), text.find(_PROJECT), text.find(_ASKED)]
    once = all(text.count(word) == 1 for word in (_SHARED, _PROJECT, _ASKED))
    return once and -1 not in places and places == sorted(places)


@dataclass(frozen=True, slots=True)
class NewProject:
    """Tokens of the first prompt of a new project, and what of them is `computed` behind another project's.

    `behind` is computed with the project's text behind the tools.
    """

    prompt: int
    computed: int
    behind: int


def new_project(tokens_of: Callable[[Sequence[Message], list[dict[str, Any]]], list[int]]) -> NewProject:
    """The figures of one template by made-up prompts of Claude Code's proportions."""
    plain, apart = (
        [tokens_of(_first_prompt(name, marked=marked), _tools()) for name in ("otter", "heron")]
        for marked in (False, True)
    )
    return NewProject(len(plain[1]), _not_shared(*plain), _not_shared(*apart))


def _not_shared(first: Sequence[int], second: Sequence[int]) -> int:
    shared = next((at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), len(second))
    return len(second) - shared


def _first_prompt(project: str, *, marked: bool) -> list[Message]:
    own = f"# Memory\n\nYour memory is in /home/user/.claude/projects/{project}/memory/.\n" + _text(
        _SYSTEM_OWN
    )
    content = [
        {"type": "text", "text": _text(_SYSTEM_BEFORE)},
        {"type": "text", "text": own, PROJECT_TEXT: marked},
        {"type": "text", "text": "# Style\n\n" + _text(_SYSTEM_AFTER)},
    ]
    asked = {"role": "user", "content": f"What does the project {project} do?"}
    return [{"role": "system", "content": content}, asked]


def _tools() -> list[dict[str, Any]]:
    return [
        PROBE_TOOL
        | {"function": PROBE_TOOL["function"] | {"name": f"tool_{number}", "description": _text(size)}}
        for number, size in enumerate(_TOOL_SIZES)
    ]


def _text(size: int) -> str:
    return (_SENTENCE * (size // len(_SENTENCE) + 1))[:size] + "\n\n"


def _system(text: str) -> Message:
    return {"role": "system", "content": text}

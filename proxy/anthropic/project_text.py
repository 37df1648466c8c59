"""The parts of Claude Code's system text that differ by project.

By them a new project's prompt diverges from those of all others, although what stands behind them is the
same. They are sections that name the memory folder (`# Memory`, `# auto memory`), and in older clients and
subagents the environment (`# Environment`, `<env>`) and the git status. They are found by what they name, not
by their headings, and by the text alone, so that a session's prompts keep their beginning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from proxy.anthropic.prompt_prefix import system_texts

_BEGINS = re.compile(r"# |gitStatus: |Here is useful information about the environment|<env>$")
_ENDS = "</env>"
_FENCE = "```"
_OF_PROJECT = re.compile(
    r"[/\\]projects[/\\][^/\\\s`]+[/\\]memory\b"  # in the client's home
    r"|[/\\]\.claude[/\\]agent-memory"
    r"|^[ \t]*(?:- )?(?:Primary w|W)orking directory: "
    r"|^gitStatus: "
    r"|[/\\][0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}[/\\]",  # a session's folder
    re.MULTILINE,
)


_DIRECTORY = re.compile(r"^[ \t]*(?:- )?(?:Primary w|W)orking directory: (/[^\n]{0,1000})", re.MULTILINE)
_FIRST_MESSAGES = 6  # of a conversation: newer clients say there what older ones say in the system text


class SystemPart(NamedTuple):
    """A run of a system text, and whether it differs by project."""

    text: str
    of_project: bool


def system_parts(system: Any) -> list[SystemPart]:
    """The parts of a `system` field; their texts add up to its canonical text (`system_text`)."""
    texts = system_texts(system)
    parts: list[SystemPart] = []
    for number, text in enumerate(texts):
        for section in _sections(text + ("\n" if number < len(texts) - 1 else "")):
            of_project = _OF_PROJECT.search(section) is not None
            if parts and parts[-1].of_project == of_project:
                section = parts.pop().text + section
            parts.append(SystemPart(section, of_project))
    return parts


def working_directory(body: Mapping[str, Any]) -> str:
    """The client's folder by what a request of any form says of its environment; empty: it says nothing."""
    messages = body.get("messages")
    first = messages[:_FIRST_MESSAGES] if isinstance(messages, list) else []
    told = (message.get("content") for message in first if isinstance(message, dict))
    contents = [body.get("system"), *told]
    for content in contents:
        for block in content if isinstance(content, list) else [content]:
            text = block.get("text") if isinstance(block, dict) else block
            if isinstance(text, str) and (found := _DIRECTORY.search(text)):
                return found[1].rstrip()
    return ""


def _sections(text: str) -> Iterator[str]:
    """The text in pieces that begin at top headings and the like, but not within a fenced block."""
    lines = text.splitlines(keepends=True)
    has_whole_fences = sum(line.startswith(_FENCE) for line in lines) % 2 == 0
    section, is_fenced = "", False
    for line in lines:
        if line.startswith(_FENCE) and has_whole_fences:
            is_fenced = not is_fenced
        if section and not is_fenced and _BEGINS.match(line) and not _opens_environment(section, line):
            yield section
            section = ""
        section += line
        if line.rstrip("\n") == _ENDS:
            yield section
            section = ""
    if section:
        yield section


def _opens_environment(section: str, line: str) -> bool:
    """Whether an environment block follows the sentence that introduces it."""
    return line.startswith("<env>") and section.startswith("Here is useful") and section.count("\n") == 1

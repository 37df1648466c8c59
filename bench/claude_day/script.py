"""What the model of a scenario does: the last mark `[name]` of a user names its turns.

The step is the number of answers since then.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from bench.scripted_upstream import Body, Call, Turn

COMPACTION = "Respond with TEXT ONLY"
VERDICT = "<block>"  # asked for by auto mode where the host does not check calls
SUMMARY = "SUMMARY-4417"
Task = Sequence[Turn] | Callable[[int, int], Turn]
"""Turns in order, or a function of the step and of how often the task was asked for, retries included."""

_MARK = re.compile(r"\[([a-z]+\d*)\]")


class TaskScript:
    """Answers by marks, and the side requests of the client: titles, summaries, verdicts, nested searches."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.asked: Counter[str] = Counter()
        self.compaction: Callable[[int], Turn] | None = None  # of how often one was asked for

    def __call__(self, body: Body) -> Turn:
        messages = body["messages"]
        mark, step = self._task(messages)
        if COMPACTION in text_of_message(messages[-1]):
            self.asked["compaction"] += 1
            if self.compaction:
                return self.compaction(self.asked["compaction"])
            return summary(mark)
        if VERDICT in text_of_message(messages[-1]):
            is_safe = "| sh" not in text_of_message(messages[-1])
            return Turn(f"<block>{'no' if is_safe else 'yes'}</block><reason>As it is.</reason>")
        if body.get("response_format"):
            title = '"title"' in str(body["response_format"])
            return Turn('{"title": "A day"}' if title else '{"ok": true, "reason": "It is done."}')
        task = self.tasks.get(mark)
        if task is None:
            return Turn("A plain answer.")
        self.asked[mark] += 1
        return task(step, self.asked[mark]) if callable(task) else task[min(step, len(task) - 1)]

    def _task(self, messages: list[Body]) -> tuple[str, int]:
        steps = 0
        for message in reversed(messages):
            if message["role"] == "assistant":
                steps += 1
            elif message["role"] == "user":
                marks = [mark for mark in _MARK.findall(text_of_message(message)) if mark in self.tasks]
                if marks:
                    return marks[-1], steps
        return "", steps


def summary(mark: str) -> Turn:
    """The answer to a compaction; it carries the mark on."""
    return Turn(f"<analysis>Long.</analysis>\n<summary>\n{SUMMARY}: the user works. [{mark}]\n</summary>")


def text_of_message(message: Body) -> str:
    """The text of a chat message, whatever the form of its content."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(part.get("text", "") for part in content)
    return content or ""


def bash(command: str, **more: object) -> Call:
    return Call("Bash", {"command": command, "description": "Run a command"} | more)


def read(path: str, **more: object) -> Call:
    return Call("Read", {"file_path": path} | more)


def write(path: str, content: str) -> Call:
    return Call("Write", {"file_path": path, "content": content})


def edit(path: str, old: str, new: str) -> Call:
    return Call("Edit", {"file_path": path, "old_string": old, "new_string": new})


def found(*names: str) -> Call:
    """A ToolSearch that loads these tools."""
    return Call("ToolSearch", {"query": "select:" + ",".join(names), "max_results": 20})


def agent(prompt: str, kind: str = "general-purpose", **more: object) -> Call:
    given = {"description": "Do a part", "prompt": prompt, "subagent_type": kind}
    return Call("Agent", given | more)

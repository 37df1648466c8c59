"""What the scripted model does on a recorded day: the last mark `[name]` of a user names a list of turns.

The step is the number of answers since that text, so that a conversation can have several tasks. Tasks that
outlive a compaction count by themselves, because it takes the answers away.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.recorded_day.project import DayProject
from bench.scratch_project import ScratchProject
from bench.scripted_upstream import Body, Call, Turn

COMPACTION = "Respond with TEXT ONLY"
LONG, LONG_ROUNDS = "long", 12
LONG_ROUND_BYTES = 8_000
MCP_TOOLS = ("mcp__shop__price", "mcp__shop__picture", "mcp__shop__order")
_MARK = re.compile(r"\[([a-z]+)\]")
_SUMMARY = "<analysis>It works on a till.</analysis>\n<summary>\nThe user mends a till. [{mark}]\n</summary>"
_TITLE, _VERDICT = '{"title": "Mend the till"}', '{"ok": true, "reason": "It is done."}'


def found(*names: str) -> Call:
    """A ToolSearch that loads these tools."""
    return Call("ToolSearch", {"query": "select:" + ",".join(names), "max_results": 20})


def tasks(project: DayProject) -> dict[str, Sequence[Turn]]:
    """The turns of each task, by its mark."""
    order = {"items": [{"name": "till", "count": 2}], "express": True}
    question = {
        "question": "Which currency?",
        "header": "Currency",
        "multiSelect": False,
        "options": [{"label": "Pounds", "description": "as now"}, {"label": "Euros", "description": "new"}],
    }
    agents = [
        _agent("Count prices", "Please count the prices. [worker]", "general-purpose"),
        _agent("Find the shelf", "Please find the fullest shelf. [finder]", "Explore"),
    ]
    return {
        "hello": [Turn("I am a model of your own.")],
        "mend": ScratchProject(project.folder).rounds(),
        "shop": [
            Turn("I will ask the shop.", (found(*MCP_TOOLS),)),
            Turn("", (Call(MCP_TOOLS[0], {"item": "till"}), Call(MCP_TOOLS[1], {}))),
            Turn("", (Call(MCP_TOOLS[2], order),)),
            Turn("The shop has it."),
        ],
        "again": [Turn("", (Call(MCP_TOOLS[0], {"item": "drawer"}),)), Turn("The drawer costs 42.")],
        "picture": [Turn("It shows one color.")],
        "media": [
            Turn("", (_read(project.path("plot.png")),)),
            Turn("", (_read(project.path("prices.ipynb")), _read(project.path("terms.pdf")))),
            Turn("", (found("NotebookEdit"),)),
            Turn("", (_notebook_edit(project),)),
            Turn("The notebook says more now."),
        ],
        "search": [
            Turn("", (found("WebSearch"),)),
            Turn("", (Call("WebSearch", {"query": "how to mend a till"}),)),
            Turn("The web says little."),
        ],
        "agents": [Turn("Two at once.", tuple(agents)), Turn("Both are at work.")],
        "worker": [Turn("", (_bash("wc -l log.txt"),)), Turn("There are 400 prices.")],
        "finder": [
            Turn("", (_bash("grep -c box shelf.txt"),)),
            Turn("", (_read(project.path("shelf.txt"), 200, 40),)),
            Turn("The fullest is shelf 3."),
        ],
        "sleep": [Turn("I will wait.", (_bash("sleep 60"),)), Turn("Awake.")],
        "shelf": [
            Turn("", (_read(project.path("shelf.txt")),)),
            Turn("", (_bash("grep -n 'holds 100' shelf.txt"),)),
            Turn("Nine boxes hold a hundred."),
        ],
        "left": [
            Turn("", (found("CronList", "WebFetch"),)),
            Turn("", (Call("CronList", {}),)),
            Turn("Nothing is left."),
        ],
        "skill": [Turn("Shelf 4 has nine boxes.")],
        "plan": [
            Turn("I will read first.", (_read(project.path("till.py")),)),
            Turn("", (found("ExitPlanMode"),)),
            Turn("", (Call("ExitPlanMode", {"plan": "1. add the first price\n2. run it"}),)),
            Turn("", (_bash("python3 till.py"),)),
            Turn("Planned and done."),
        ],
        "ask": [
            Turn("", (found("AskUserQuestion"),)),
            Turn("", (Call("AskUserQuestion", {"questions": [question]}),)),
            Turn("As you say."),
        ],
        "json": [Turn("", (Call("StructuredOutput", {"total": 250, "currency": "pounds"}),)), Turn("Done.")],
    }


class DayScript:
    """Answers by the tasks' marks; `long` goes on until `LONG_ROUNDS`, whatever is compacted."""

    def __init__(self, project: DayProject) -> None:
        self._tasks = tasks(project)
        self._rounds = 0

    def __call__(self, body: Body) -> Turn:
        messages = body["messages"]
        mark, step = self._task(messages)
        if COMPACTION in _text(messages[-1]):
            return Turn(_SUMMARY.format(mark=mark))
        if body.get("response_format"):
            return Turn(_TITLE if '"title"' in str(body["response_format"]) else _VERDICT)
        if mark == LONG:
            return self._next_round()
        turns = self._tasks.get(mark) or [Turn("A brief summary.")]
        return turns[min(step, len(turns) - 1)]

    def _task(self, messages: list[Body]) -> tuple[str, int]:
        """The last mark in a user's text, and the number of answers behind it."""
        steps = 0
        for message in reversed(messages):
            if message["role"] == "assistant":
                steps += 1
            elif message["role"] == "user":
                marks = [
                    mark for mark in _MARK.findall(_text(message)) if mark in self._tasks or mark == LONG
                ]
                if marks:
                    return marks[-1], steps
        return "", steps

    def _next_round(self) -> Turn:
        self._rounds += 1
        if self._rounds > LONG_ROUNDS:
            return Turn("All rounds are done.")
        command = f"echo round {self._rounds}; head -c {LONG_ROUND_BYTES} shelf.txt"
        return Turn(f"Round {self._rounds}.", (_bash(command),))


def _text(message: Body) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(part.get("text", "") for part in content)
    return content or ""


def _bash(command: str) -> Call:
    return Call("Bash", {"command": command, "description": "Run a command"})


def _read(path: str, offset: int = 0, limit: int = 0) -> Call:
    part = {"offset": offset, "limit": limit} if limit else {}
    return Call("Read", {"file_path": path} | part)


def _agent(description: str, prompt: str, kind: str) -> Call:
    return Call("Agent", {"description": description, "prompt": prompt, "subagent_type": kind})


def _notebook_edit(project: DayProject) -> Call:
    cell = {"cell_id": "c1", "new_source": "print('total', 250, 'pounds')", "edit_mode": "replace"}
    return Call("NotebookEdit", {"notebook_path": project.path("prices.ipynb")} | cell)

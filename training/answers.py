"""The model's answers: fixed texts, and texts that report a tool's result."""

from __future__ import annotations

import json
import re

IDENTITY = (
    "I am the bundled demo model of anyclaude-tui: very small, trained from scratch, and here to show that"
    " everything works. I can read, write, edit, list and search files and run commands. For real work choose"
    " another model with --model."
)
HELLO = "Hello! I am the small demo model of anyclaude-tui. What shall I do?"
GOODBYE = "Goodbye, and have fun with anyclaude-tui!"
WELCOME = "You are welcome!"
CANNOT = (
    "I cannot do that: I am only a small demo model. I can read, write, edit and search files, run commands,"
    " do small sums and tell a joke."
)
NO_TOOL = "I cannot do that here: no tool for it is offered."
JOKES = (
    "Why did the cache cross the road? It had already been on the other side.",
    "Two threads walk into a bar. The second one walks into a bar. Two threads walk a into bar.",
    "My model is so small that its context window is a cat flap.",
    "I told my server a joke about timeouts. I am still waiting for the answer.",
    "A token walks into a library. It is soon checked out by a sampler.",
    "Why do programmers like the dark? Light brings the bugs.",
)

SHOWN_LINES = 3
CUT_MARK = "[...]"

IN_BACKGROUND = "The command takes long and goes on in the background."

_ERROR_MARKS = re.compile(r"^(?:<\w+>|[Ee]rror: )|</\w+>$")
_NUMBERED = re.compile(r"^ *\d+(?:\t|→)", re.MULTILINE)


def sum_answer(first: int, sign: str, second: int) -> str:
    """A small sum with its result."""
    result = first + second if sign == "+" else first - second
    return f"{first} {sign} {second} = {result}"


def title(text: str) -> str:
    """A session title in the JSON that clients request."""
    return json.dumps({"title": text}, ensure_ascii=False)


def shown(result: str) -> tuple[str, bool]:
    """The first lines of a tool's result without line numbers, and whether there are more."""
    lines = [_NUMBERED.sub("", line) for line in result.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    more = len(lines) > SHOWN_LINES or CUT_MARK in lines
    lines = [line for line in lines[:SHOWN_LINES] if line != CUT_MARK]
    return "\n".join(lines), more


def fenced(result: str) -> str:
    """The first lines of a result between fences, with a note on what is left out."""
    text, more = shown(result)
    return f"```\n{text}\n```" + ("\nThere is more." if more else "")


def file_says(file: str, result: str) -> str:
    """The answer to a request to read."""
    return f"{file} says:\n{fenced(result)}" if result.strip() else f"{file} is empty."


def printed(result: str) -> str:
    """The answer after a command."""
    return f"The command printed:\n{fenced(result)}" if result.strip() else "The command printed nothing."


def listed(result: str) -> str:
    """The answer after a listing or a search for files."""
    return f"These are there:\n{fenced(result)}" if result.strip() else "There is nothing."


def found(pattern: str, result: str) -> str:
    """The answer after a search."""
    return f"{pattern} is here:\n{fenced(result)}" if result.strip() else f"{pattern} was not found."


def counted(file: str, lines: int) -> str:
    """The answer to a question for the number of lines."""
    return f"{file} has {lines} lines."


def written(file: str) -> str:
    """The answer after a file was written."""
    return f"Done: {file} is written."


def replaced(old: str, new: str, file: str) -> str:
    """The answer after an edit."""
    return f"Done: {old} is now {new} in {file}."


def missing(name: str) -> str:
    """The answer if a file or folder does not exist."""
    return f"{name} does not exist."


def is_folder(name: str) -> str:
    """The answer if a file was requested and the path is a folder."""
    return f"{name} is a folder."


def forbidden(name: str) -> str:
    """The answer if the system denies access to a file."""
    return f"There is no permission for {name}."


def refused(name: str, done: str) -> str:
    """The answer if the user or their settings denied a call; without a name, the call's purpose."""
    return f"That was not allowed: {name} was not {done}." if name else "That was not allowed."


def absent(old: str, file: str) -> str:
    """The answer if the text to replace is not in the file."""
    return f"{old} is not in {file}."


def several(old: str, file: str) -> str:
    """The answer if the text to replace is in the file more than once."""
    return f"{old} is more than once in {file}."


def command_failed(code: str, line: str = "") -> str:
    """The answer after a failed command: its exit code and its first line of output."""
    return f"The command failed with exit code {code}" + (f": {line}" if line else ".")


def without_error_marks(line: str) -> str:
    """An error's line without "Error:" or a tag around it."""
    return _ERROR_MARKS.sub("", line)


def failed(error: str) -> str:
    """The answer after any other error: the first sentence of its first line, without marks."""
    line = without_error_marks(error.split("\n")[0])
    return f"That did not work: {line.split('. ')[0].rstrip('.')}."

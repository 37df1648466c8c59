"""A tool call in lines, as what it is: a diff for an edit, a file for a write, a command for a shell.

The same lines for calls that are whole and for those that are still being written. All text is made safe to
draw here: arguments may hold anything.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from proxy.events.arguments import telling_argument
from tui.client.figures import plural, seconds
from tui.client.records import ToolRecord
from tui.client.wire_text import block_text, line_text, within
from tui.screen.calls.call_draft import CallDraft
from tui.screen.calls.call_words import refusal
from tui.screen.styled_line import Line

Arguments = Mapping[str, Any]
Look = tuple[Line, list[Line]]
INDENT = "    "
MOST_LINES = 200  # of a call
_COMPARED = 400  # lines of each side that are compared; longer ones are shown one after the other
_CONTEXT = 2  # lines around a change
_RESULT_LINES = 3
_PATHS = ("file_path", "notebook_path", "path")
_TODO_SIGNS = {"completed": ("✓ ", "ok"), "in_progress": ("▶ ", "decode")}


def call_lines(call: ToolRecord, *, folder: str = "", most: int = MOST_LINES) -> list[Line]:
    """A finished call, what is wrong with it, and the head of its result once that is there.

    `folder`: the client's; paths in it are named without it.
    """
    lines = _drawn(call.name, call.input, call.raw, most, folder)
    lines[0] = [*lines[0], *_outcome(call)]
    if refused := refusal(call.verdict):
        words, style = refused
        lines.append([(INDENT + line_text(f"{words}: {call.detail}".rstrip(": ")), style)])
    if call.answered is not None and call.result.strip():
        result = block_text(call.result).strip().split("\n")
        style = "bad" if call.is_error else "dim"
        lines += [
            [(INDENT + ("└ " if not number else "  ") + line, style)]
            for number, line in enumerate(result[:_RESULT_LINES])
        ]
    return lines


def draft_lines(draft: CallDraft, *, folder: str = "", most: int = 12, writing: bool = True) -> list[Line]:
    """A call that is being written, or was: its head, and its last lines."""
    if not draft.name and not draft.arguments:
        return [[("▸ ", "tool"), ("…", "dim")], *_block(draft.raw, "dim", most, last=True)]
    lines = _drawn(draft.name, draft.arguments, draft.raw, 1 << 30, folder)
    lines[0] = [*lines[0], ("  writing …", "decode") if writing else ("  not sent", "warn")]
    if len(lines) > most + 1:
        hidden = len(lines) - 1 - most
        lines[1:-most] = [[(f"{INDENT}… {plural(hidden, 'line')} above", "dim")]]
    return lines


def _outcome(call: ToolRecord) -> Line:
    if call.answered is None:
        return []
    sign, style = ("✗", "bad") if call.is_error else ("✓", "ok")
    took = f" {seconds(call.duration_s)}" if call.duration_s is not None else ""
    return [("  ", ""), (sign, style), (took, "muted")]


def _drawn(name: str, arguments: Arguments | None, raw: str, most: int, folder: str) -> list[Line]:
    """The head of a call and at most `most` lines below it."""
    name = line_text(name, 80) or "call"
    if arguments is None:
        return [[("▸ ", "tool"), (name, "tool bold")], *_block(raw, "dim", most)]
    paths = {key: within(path, folder) for key in _PATHS if isinstance(path := arguments.get(key), str)}
    head, body = _look(name, {**arguments, **paths})
    lines: list[Line] = [[("▸ ", "tool"), (name, "tool bold"), *([("  ", ""), *head] if head else [])]]
    if len(body) > most:
        body = [*body[:most], [(f"{INDENT}… {plural(len(body) - most, 'more line')}", "dim")]]
    return lines + body


def argument_lines(name: str, arguments: Arguments) -> list[Line] | None:
    """The arguments of a call of a tool that has a look of its own; None: it has none."""
    if name not in _LOOKS:
        return None
    head, body = _look(name, arguments)
    return [head, *body] if head else body


def _look(name: str, arguments: Arguments) -> Look:
    """What a tool's look shows, and all that it leaves out."""
    if name not in _LOOKS:
        return _plain(arguments)
    draw, shown = _LOOKS[name]
    head, body = draw(arguments)
    told = [key for key in shown if isinstance(arguments.get(key), str | list | bool)]
    others = _others(arguments, *told)
    return [*head, *others] if head else others[1:], body


def _block(text: str, style: str, most: int, *, last: bool = False) -> list[Line]:
    lines = block_text(text).strip("\n").split("\n") if text.strip() else []
    shown = lines[-most:] if last else lines[:most]
    return [[(INDENT + line, style)] for line in shown]


def _text(arguments: Arguments, *names: str) -> str:
    """The first of these arguments that is a text, safe to draw."""
    found = (arguments[name] for name in names if isinstance(arguments.get(name), str))
    return block_text(next(found, ""))


def _others(arguments: Arguments, *shown: str) -> Line:
    rest = {name: value for name, value in arguments.items() if name not in shown and value is not None}
    told = "  ".join(f"{line_text(name, 60)}={_value(value)}" for name, value in rest.items())
    return [("  ", ""), (told, "dim")] if told else []


def _value(value: Any, limit: int = 120) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return line_text(text, limit)


# -- looks: of some arguments the rest of the head, and the lines below it -----------------------------------


def _edit(arguments: Arguments) -> Look:
    body, added, removed = _diff(_text(arguments, "old_string"), _text(arguments, "new_string"))
    everywhere = [("  everywhere", "warn")] if arguments.get("replace_all") is True else []
    return [(line_text(_text(arguments, "file_path")), ""), *_sizes(added, removed), *everywhere], body


def _multi_edit(arguments: Arguments) -> Look:
    edits = arguments.get("edits")
    body: list[Line] = []
    added = removed = 0
    for edit in edits if isinstance(edits, list) else []:
        if isinstance(edit, Mapping):
            lines, more, less = _diff(_text(edit, "old_string"), _text(edit, "new_string"))
            body += [[(f"{INDENT}⋯", "dim")]] if body else []
            body += lines
            added, removed = added + more, removed + less
    return [(line_text(_text(arguments, "file_path")), ""), *_sizes(added, removed)], body


def _sizes(added: int, removed: int) -> Line:
    return [("  ", ""), (f"+{added}", "ok"), (f" -{removed}", "bad")]


def _diff(old: str, new: str) -> tuple[list[Line], int, int]:
    """The lines that change, with some around them; how many come, and how many go."""
    before, after = _split(old), _split(new)
    lines: list[Line] = []
    added = removed = 0
    for sign, text in _changes(before, after):
        added += sign == "+"
        removed += sign == "-"
        style = {"+": "ok", "-": "bad"}.get(sign, "dim")
        lines.append([(f"{INDENT}{sign} {text}", style)])
    return lines, added, removed


def _changes(before: list[str], after: list[str]) -> Iterator[tuple[str, str]]:
    if max(len(before), len(after)) > _COMPARED:
        yield from (("-", line) for line in before)
        yield from (("+", line) for line in after)
        return
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for number, group in enumerate(matcher.get_grouped_opcodes(_CONTEXT)):
        if number:
            yield "⋯", ""
        for tag, low, high, start, end in group:
            if tag == "equal":
                yield from ((" ", line) for line in before[low:high])
            else:
                yield from (("-", line) for line in before[low:high])
                yield from (("+", line) for line in after[start:end])


def _split(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def _write(arguments: Arguments) -> Look:
    lines = _split(_text(arguments, "content", "new_source", "cell_source"))
    digits = len(str(len(lines)))
    body: list[Line] = [
        [(f"{INDENT}{number:>{digits}} ", "dim"), ("│ ", "rule"), (line, "")]
        for number, line in enumerate(lines, 1)
    ]
    path = line_text(_text(arguments, "file_path", "notebook_path"))
    return [(path, ""), (f"  {plural(len(lines), 'line')}", "muted")], body


def _shell(arguments: Arguments) -> Look:
    about = line_text(_text(arguments, "description"), 200)
    head: Line = [(about, "muted")] if about else []
    lines = _split(_text(arguments, "command"))
    return head, [
        [(INDENT, ""), ("$ " if not number else "  ", "accent"), (line, "")]
        for number, line in enumerate(lines)
    ]


def _todos(arguments: Arguments) -> Look:
    todos = arguments.get("todos")
    known = [one for one in todos if isinstance(one, Mapping)] if isinstance(todos, list) else []
    done = sum(one.get("status") == "completed" for one in known)
    body: list[Line] = []
    for one in known:
        sign, style = _TODO_SIGNS.get(str(one.get("status")), ("◌ ", "muted"))
        body.append([(INDENT, ""), (sign, style), (line_text(_text(one, "content", "subject")), "")])
    return [(f"{done} of {len(known)} done", "muted")], body


def _agent(arguments: Arguments) -> Look:
    kind = line_text(_text(arguments, "subagent_type"), 60)
    head: Line = [(kind, "lane.subagent"), ("  " if kind else "", "")]
    head += [(line_text(_text(arguments, "description"), 200), "")]
    return head, _block(_text(arguments, "prompt"), "muted", 1 << 30)


def _plan(arguments: Arguments) -> Look:
    return [], _block(_text(arguments, "plan"), "", 1 << 30)


def _questions(arguments: Arguments) -> Look:
    questions = arguments.get("questions")
    body: list[Line] = []
    for one in questions if isinstance(questions, list) else []:
        if not isinstance(one, Mapping):
            continue
        body.append([(INDENT + line_text(_text(one, "question")), "bold")])
        options = one.get("options")
        for option in options if isinstance(options, list) else []:
            if isinstance(option, Mapping):
                body.append([(f"{INDENT}◌ {line_text(_text(option, 'label'))}", "")])
    return [], body


def _plain(arguments: Arguments) -> Look:
    """What tells most in the head, long texts below it."""
    long = [name for name, value in arguments.items() if isinstance(value, str) and "\n" in value]
    short = {name: value for name, value in arguments.items() if name not in long}
    told = telling_argument(arguments)
    body: list[Line] = []
    for name in long:
        body.append([(f"{INDENT}{line_text(name, 60)}:", "muted")])
        body += _block(arguments[name], "", 1 << 30)
    if told not in short:
        return _others(short)[1:], body
    return [(_value(short[told], 400), ""), *_others(short, told)], body


_FILE = ("file_path", "notebook_path", "content", "new_source", "cell_source")
_SHELL = ("command", "description")
_AGENT = ("subagent_type", "description", "prompt")
_LOOKS: Mapping[str, tuple[Callable[[Arguments], Look], tuple[str, ...]]] = {
    "Edit": (_edit, ("file_path", "old_string", "new_string", "replace_all")),
    "MultiEdit": (_multi_edit, ("file_path", "edits")),
    "Write": (_write, _FILE),
    "NotebookEdit": (_write, _FILE),
    "Bash": (_shell, _SHELL),
    "PowerShell": (_shell, _SHELL),
    "TodoWrite": (_todos, ("todos",)),
    "Agent": (_agent, _AGENT),
    "Task": (_agent, _AGENT),
    "ExitPlanMode": (_plan, ("plan",)),
    "AskUserQuestion": (_questions, ("questions",)),
}

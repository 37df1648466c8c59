"""What a chat template shows of calls and of thinking, found by rendering small conversations.

A template shows a call in the form that its model has learned, so the family is the one that reads it back.
Where none does, the form is unknown, whatever marks the template mentions.
"""

from __future__ import annotations

import difflib
import itertools
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.tool_calls.families.bare_families import BARE_FAMILIES
from engine.tool_calls.families.registry import FAMILIES, family_of_tokens
from engine.tool_calls.quoted.thinking_marks import ENDS, THINKING_MARKS
from engine.tool_calls.reading.family import Bare, CallReader, Family
from engine.tool_calls.reading.pieces import CallBroken, CallEnd
from engine.tool_calls.recovery.recovered import Unrecovered
from engine.tool_calls.recovery.recovery import recover_text
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas
from engine.wire.chat import Message

Render = Callable[..., str]
"""`(messages, tools, add_generation_prompt=True)`; raises whatever the template raises."""

_ASKED, _RESULT, _SAID, _THOUGHT = "probebravo", "probenovember", "probeoscar", "probetango"
_NAME, _ARGUMENTS = "probekilo", {"path": "probemike", "count": 7}
_READ = (_ARGUMENTS, {"path": "probemike", "count": "7"})  # some templates print all values as texts
_SCHEMA = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "description": "probeyankee"},
        "count": {"type": "integer", "description": "probezulu"},
    },
    "required": ["path"],
}
_FUNCTION = {"name": _NAME, "description": "probelima", "parameters": _SCHEMA}
_OFFERED = [{"type": "function", "function": _FUNCTION}]
PROBE_TOOLS = ToolSchemas([ToolSchema(_NAME, _SCHEMA)])
_WITHOUT_ARGUMENTS = ToolSchemas([ToolSchema(_NAME, {"type": "object"})])
# Kimi's templates write the id in place of the name, Mistral's accept nine letters and digits.
_IDS = (f"functions.{_NAME}:0", "probe0120")
_THINKING_FIELDS = ("reasoning_content", "reasoning", "thinking")
_THINKING_SWITCHES: tuple[dict[str, bool], ...] = ({}, {"enable_thinking": True}, {"thinking": True})
_MARK_BEFORE = re.compile(r"(<[^<>\s]{2,60}>|\[[A-Z_]{2,40}\])\s*\Z")
_MARK_BEHIND = re.compile(r"\s*(<[^<>\s]{2,60}>|\[/[A-Z_]{2,40}\])")
_BARE_BEGIN = re.compile(rf"(?P<python>\[\s*{_NAME}\s*\()|\[\s*\{{|\{{|{_NAME}(?=\s*\n)")
_MOST_ENDS = 8
_NO_TEXT = re.compile(
    re.escape("<|python_start|><|python_end|>")
)  # Llama 4 puts the text beside a call there
_WRITTEN_MARK = re.compile(
    r"</?[^<>\s=]{2,60}[=>]|\[/?[A-Z_]{3,40}\]|functools\[|\"(?:name|arguments|parameters|tool_name)\""
)
_OPPOSITES = (("begin", "end"), ("start", "end"), ("START", "END"), ("open", "close"), ("prefix", "suffix"))


@dataclass(frozen=True, slots=True)
class ShownCall:
    """A call as a template shows it: the text from behind the question to its result.

    `before` is what stands there before the words of a turn without calls.
    """

    text: str
    before: str


def detected_family(render: Render, vocabulary: Collection[str]) -> Family | None:
    """The family of a model: the one that reads what its template shows of a call; None if none does.

    If it shows no call, the marks in what it says about the tools decide, else the model's tokens.
    """
    call = shown_call(render)
    if call is None:
        return _instructed(render) or family_of_tokens(vocabulary)
    if (family := _reading(call)) is not None:
        return family
    bare = _bare(call, _ARGUMENTS, vocabulary)
    if bare is None and (call := shown_call(render, {})) is not None:
        # Some templates print the values of calls without quotes, though they ask for Python's.
        bare = _bare(call, {}, vocabulary)
        bare = bare if bare is not None and bare.bare == "python" else None
    return _instructed(render) or bare if bare is not None else None


def written_call(render: Render, family: Family) -> str:
    """A call as the template writes it, opening mark included; empty if the family cannot read it."""
    only = {"path": _ARGUMENTS["path"]}
    call = shown_call(render, only)
    return (_read_by(family, call.text, (only,)) or "") if call is not None else ""


def shown_call(render: Render, arguments: Mapping[str, Any] = _ARGUMENTS) -> ShownCall | None:
    """What a template shows of a call; None if it shows none."""
    word = "probemike" if arguments else _NAME
    for turns in _conversations(arguments):
        text = _attempt(render, turns, _OFFERED)
        at = -1 if text is None else text.rfind(word)
        if text is None or at < 0 or _is_garbled(text):
            continue
        begin, end = text.rfind(_ASKED, 0, at), text.find(_RESULT, at)
        if begin < 0:
            continue
        shown = text[begin + len(_ASKED) : end if end >= 0 else len(text)]
        return ShownCall(shown, _before_a_word(render, turns[0]))
    return None


def shown_thinking(render: Render) -> tuple[str, str] | None:
    """The marks that a template puts around thinking; None if it shows none, or without marks.

    Some templates show earlier thinking only while thinking is switched on.
    """
    for switch, turn in itertools.product(_THINKING_SWITCHES, _thinking_turns()):
        text = _attempt(render, [_user(), turn], None, add_generation_prompt=False, **switch)
        if text is None or text.count(_THOUGHT) != 1:
            continue
        before, _, behind = text.partition(_THOUGHT)
        before, behind = before.rstrip(), behind.lstrip()
        for start in sorted(THINKING_MARKS, key=len, reverse=True):
            end = next((end for end in THINKING_MARKS[start] if behind.startswith(end)), None)
            if end is not None and before.endswith(start):
                return start, end
        opened, closed = _MARK_BEFORE.search(before), _MARK_BEHIND.match(behind)
        if opened and closed and closed[1] in _opposites(opened[1]) and text.count(opened[1]) == 1:
            return opened[1], closed[1]
    return None


def opened_by(render: Render) -> tuple[str, str]:
    """The mark with which a template opens an answer, and only a new one; empty for none.

    With it the mark up to which the template leaves earlier answers out, as it does with thinking; empty if
    it leaves nothing out.
    """
    asked, said = [_user()], {"role": "assistant", "content": _SAID}
    ended = _attempt(render, asked, None, add_generation_prompt=False)
    opened = _attempt(render, asked, None)
    earlier = _attempt(render, [*asked, said, _user()], None) or ""
    if ended is None or opened is None or not opened.startswith(ended) or _SAID not in earlier:
        return "", ""
    mark = _MARK_BEFORE.search(opened[len(ended) :])
    if mark is None or mark[1].startswith("</") or mark[1] in ENDS:
        return "", ""
    if mark[1] in earlier[earlier.find(_ASKED) : earlier.find(_SAID)]:
        return "", ""  # it begins earlier answers too
    for end in sorted(_opposites(mark[1])):
        text = _attempt(render, [*asked, {**said, "content": f"{_THOUGHT}{end}{_SAID}"}, _user()], None)
        if text is not None and _THOUGHT not in text and _SAID in text:
            return mark[1], end
    return mark[1], ""


def _user() -> Message:
    return {"role": "user", "content": _ASKED}


def _conversations(arguments: Mapping[str, Any]) -> Iterator[list[Message]]:
    """The forms in which templates accept a call, the most common first."""
    for result, empty, as_text, call_id in itertools.product((True, False), ("", None), (False, True), _IDS):
        given = json.dumps(arguments) if as_text else arguments
        function = {"name": _NAME, "arguments": given}
        call = {"id": call_id, "type": "function", "function": function}
        turns: list[Message] = [_user(), {"role": "assistant", "content": empty, "tool_calls": [call]}]
        if result:
            turns.append({"role": "tool", "tool_call_id": call_id, "name": _NAME, "content": _RESULT})
        yield turns


def _thinking_turns() -> Iterator[Message]:
    for name in _THINKING_FIELDS:
        yield {"role": "assistant", "content": _SAID, name: _THOUGHT}
    parts = [{"type": "thinking", "thinking": _THOUGHT}, {"type": "text", "text": _SAID}]
    yield {"role": "assistant", "content": parts}
    parts[0] = {"type": "thinking", "thinking": [{"type": "text", "text": _THOUGHT}]}  # type: ignore[dict-item]
    yield {"role": "assistant", "content": parts}


def _attempt(render: Render, messages: list[Message], tools: Any, **options: Any) -> str | None:
    try:
        return render(messages, tools, **options)
    except Exception:  # a template may raise anything: refusals, type errors, undefined names
        return None


def _is_garbled(text: str) -> bool:
    """Whether arguments were shown as a text within a text, or as Python prints them."""
    return '\\"probemike' in text or "'path': 'probemike" in text


def _before_a_word(render: Render, asked: Message) -> str:
    said: Message = {"role": "assistant", "content": _SAID}
    text = _attempt(render, [asked, said], _OFFERED, add_generation_prompt=False) or ""
    if _ASKED not in text or _SAID not in text:
        return ""
    return text[text.rindex(_ASKED) + len(_ASKED) :].partition(_SAID)[0]


def _reading(call: ShownCall) -> Family | None:
    """The family that reads the call; of several, the one that would write it like that."""
    found = []
    for place, family in enumerate(FAMILIES):
        raw = _read_by(family, call.text)
        if raw is not None:
            written = _squeezed(family.write([(_NAME, _ARGUMENTS)], PROBE_TOOLS))
            likeness = difflib.SequenceMatcher(None, written, _squeezed(raw), autojunk=False).ratio()
            found.append((-likeness, -len(raw), place, family))
    return min(found, key=lambda one: one[:3])[3] if found else None


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _read_by(family: Family, text: str, meant: Sequence[Mapping[str, Any]] = _READ) -> str | None:
    """The call's text if the family's reader reads it, with one of these arguments, and no other."""
    places = [(text.find(mark), -len(mark), mark) for mark in family.openings if mark in text]
    if not places:
        return None
    at, _, opening = min(places)
    reader: CallReader = family.reader(opening, PROBE_TOOLS)
    pieces = reader.feed(text[at + len(opening) :])
    if not reader.over:
        pieces += reader.close()
    ends = [piece for piece in pieces if isinstance(piece, CallEnd)]
    if len(ends) != 1 or any(isinstance(piece, CallBroken) for piece in pieces):
        return None
    same = json.loads(ends[0].arguments) in meant
    return ends[0].raw if same and not _stands_within(text, at, opening) else None


def _stands_within(text: str, at: int, opening: str) -> bool:
    """Whether an opening mark is the end of a longer mark."""
    return opening[0] in "<[" and text[:at].endswith(tuple("<[|/"))


def _bare(call: ShownCall, arguments: Mapping[str, Any], vocabulary: Collection[str]) -> Family | None:
    """The family that writes calls without marks, if before this one stands only what is before words."""
    before = _squeezed(call.before)
    for found in _BARE_BEGIN.finditer(call.text):
        prefix = _squeezed(_NO_TEXT.sub("", call.text[: found.start()]))
        functionary = prefix.endswith(">>>") and prefix in (before + ">>>", before.removesuffix("all"))
        if prefix != before and not functionary:
            continue
        kind: Bare = "named" if found[0] == _NAME else "python" if found["python"] else "json"
        closing = "]" if found[0].startswith("[") else "}"
        ends = [
            place for place, letter in enumerate(call.text) if letter == closing and place > found.start()
        ]
        if not any(_means(call.text[found.start() : end + 1], arguments) for end in ends[:_MOST_ENDS]):
            continue
        # Of those that write marks as well, only one whose marks are tokens of the model.
        marked = [one for one in FAMILIES if any(mark in vocabulary for mark in one.openings)]
        for family in (*marked, *BARE_FAMILIES, *FAMILIES):
            written = family.write([(_NAME, arguments)], PROBE_TOOLS)
            listed = written.removeprefix((family.openings or ("",))[0])[:1] == "["
            alike = family.bare == kind and listed == found[0].startswith("[")
            if alike and (family.name == "functionary") == functionary:
                return family
    return None


def _means(body: str, arguments: Mapping[str, Any]) -> bool:
    outcome = recover_text(body, PROBE_TOOLS if arguments else _WITHOUT_ARGUMENTS)
    return not isinstance(outcome, Unrecovered) and [call.verdict.input for call in outcome] == [arguments]


def _instructed(render: Render) -> Family | None:
    """The family whose marks the template names when it says how to call; the one with the most of them."""
    text = _attempt(render, [_user()], _OFFERED) or ""
    found = []
    for family in FAMILIES:
        marks = set(_WRITTEN_MARK.findall(family.write([(_NAME, _ARGUMENTS)], PROBE_TOOLS)))
        if special := {mark for mark in marks if "|" in mark or "｜" in mark}:
            marks = special  # they tell enough
        if marks and all(_stands_alone(text, mark) for mark in marks):
            found.append((len(marks), family))
    most = max((count for count, _ in found), default=0)
    best = [family for count, family in found if count == most]
    return best[0] if len(best) == 1 else None


def _stands_alone(text: str, mark: str) -> bool:
    at = text.find(mark)
    while at >= 0 and _stands_within(text, at, mark):
        at = text.find(mark, at + 1)
    return at >= 0


def _opposites(mark: str) -> set[str]:
    """The marks that could end what `mark` opens."""
    return {mark[0] + "/" + mark[1:], *(mark.replace(one, other) for one, other in _OPPOSITES if one in mark)}

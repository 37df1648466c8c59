"""The grammar of one answer: free text with well-formed tool calls, or JSON of a schema.

The text of a grammar is a pure function of an `AnswerRules`, so that it can be cached;
`engine.constrained.grammar` runs it. Free text is unconstrained: the family's rules apply only from the first
character of an opening mark to the end of the call; of calls without a mark, from where an answer, or what
follows a thought or a call, begins as one. A mark in code or in a quotation opens no call. In a
thought no opening mark can be written, so that a model closes its thought before it calls. Everything is
matched byte by byte, since tokens may cross the borders of marks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from engine.constrained.code_places import place_terminals
from engine.constrained.thinking_grammar import thinking_rules, without_openings
from engine.tool_calls.reading.family import Family
from engine.tool_calls.recovery.call_starts import call_starts
from engine.tool_calls.schemas.lark_text import json_value, literal
from engine.tool_calls.schemas.pattern_source import escaped, pattern
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas

Choice = Literal["auto", "required", "none"]


@dataclass(frozen=True)
class AnswerRules:
    """The constraints of a request on its answer.

    `tools` are the callable tools. With `schema` the answer, apart from calls, is JSON that fits it.
    `thinking` are the marks around thinking at the start, and with `opens_thinking` the prompt ends within
    it; `marks` are the marks around thinking anywhere. `layout` are marks that may come before the required
    content.
    """

    family: Family | None = None
    tools: tuple[ToolSchema, ...] = ()
    choice: Choice = "auto"
    parallel: bool = True
    schema: Mapping[str, Any] | None = None
    thinking: tuple[str, str] | None = None
    opens_thinking: bool = False
    marks: tuple[str, str] | None = None
    layout: tuple[str, ...] = ()

    @property
    def is_unconstrained(self) -> bool:
        """Whether any text is allowed."""
        return self.schema is None and not self.calls

    @property
    def calls(self) -> bool:
        """Whether a grammar has rules for calls."""
        return self.family is not None and bool(self.tools)


Relaxation = Literal["lenient", "any"]
"""How a schema that the grammar cannot express is relaxed: without some keywords, or to any value."""

ANSWER = ""  # the key of the answer's own schema among the names of tools

# Where only one text can follow, any tokens that spell it are allowed, not only the tokenizer's own split.
_OPTIONS = '%llguidance {"no_forcing": true}'
_SPACE = "/[ \\t\\r\\n]{1,8}/"


def grammar_text(rules: AnswerRules, relaxed: Mapping[str, Relaxation] | None = None) -> str:
    """The Lark text for `rules`; `relaxed` names the tools, and `ANSWER`, whose schemas are relaxed."""
    lines = [_OPTIONS]
    relaxed = relaxed or {}
    free = f"TEXT: {_free_text(rules)}"
    if rules.family is None or not rules.calls or rules.choice == "none":
        if rules.schema is None:
            return "\n".join([*lines, "start: TEXT", free, ""])
        return "\n".join([*lines, *_start(rules, "answer SPACE?"), *_answer(rules, relaxed), ""])
    tools = [_without_bounds(tool) if relaxed.get(tool.name) == "any" else tool for tool in rules.tools]
    calls = rules.family.grammar(tools, lambda tool, part=None: _arguments(tool, part, relaxed))
    # The answer ends behind its only call: more text would only keep the client waiting.
    if not rules.family.openings or rules.family.bare == "named":
        return "\n".join([*lines, *_bare(rules, relaxed, later="\nlater: " in calls), calls, ""])
    bare = "\nbare_calls: " in calls
    parts = ["section", *(["thinking"] if rules.marks else []), *(["bare_calls"] if bare else [])]
    undecided = "\nNOT_CALLED: " in calls
    parts += ["words"] if undecided else []
    end = "(last | begun LAST_WORDS)" if undecided else "last"
    more = f"({' | '.join(parts)})* {end}" if rules.parallel else "SPACE?"
    if rules.schema is not None:
        body = f"(answer SPACE? | now {more})" if rules.choice == "auto" else f"now {more}"
        lines += _start(rules, body)
        lines += _answer(rules, relaxed)
    elif rules.choice == "required":
        only = " | bare_calls SPACE?" if bare else ""
        lines += _start(rules, f"(now {more}{only})")
    else:
        begun = "thought_end" if rules.opens_thinking else ""
        before = [part for part in parts if part in ("thinking", "words")]
        only = f"({' | '.join(before)})* " if before else ""
        single = f"{only}(section SPACE? | {'bare_calls SPACE? | ' if bare else ''}{end})"
        lines.append(f"start: {begun} {more if rules.parallel else single}")
        lines.append(f"SPACE: {_SPACE}")
        if rules.opens_thinking:
            lines.append(_thought_end(rules))
    if bare:
        free = f"{free} & NOT_BEGUN"
        lines += _words(rules.family) if undecided else []
    lines += [free, place_terminals(rules.layout), *thinking_rules(rules.family, rules.marks)]
    openings = [mark for mark in rules.family.openings if "$tool" not in mark]
    for number, mark in enumerate(openings):
        line_start = " & /((?s:.*)\\n)?/" if mark in rules.family.bare_openings else ""
        lines.append(f"BEFORE{number}: OUTSIDE{line_start}")
        lines.append(f"open{number}[lazy]: BEFORE{number} {literal(mark)}")
    lines.append("section: " + " | ".join(f"open{number} calls" for number in range(len(openings))))
    # Behind thinking and layout it is unknown what the reader takes for the beginning of a line.
    at_once = [mark for mark in openings if mark not in rules.family.bare_openings]
    lines.append("now: " + " | ".join(f"{literal(mark)} calls" for mark in at_once))
    return "\n".join([*lines, calls, ""])


def _start(rules: AnswerRules, body: str) -> list[str]:
    """A `start` that reaches `body` through thinking, white space and layout marks only."""
    lines = []
    if rules.thinking is None:
        lines.append(f"start: layout {body}")
    else:
        optional = "" if rules.opens_thinking else "?"
        opening = "" if rules.opens_thinking else literal(rules.thinking[0])
        lines.append(f"start: layout thought{optional} layout {body}")
        lines.append(f"thought: {opening} thought_end")
        lines.append(_thought_end(rules))
    marks = "".join(f" | {literal(mark)}" for mark in rules.layout)
    return [*lines, f"layout: (SPACE{marks}){{0,6}}", f"SPACE: {_SPACE}"]


def _bare(rules: AnswerRules, relaxed: Mapping[str, Relaxation], *, later: bool) -> list[str]:
    """`start` for calls without a mark: they stand at the beginning, behind thinking, or also `later`."""
    assert rules.family is not None
    # A list in Python's form has all calls; by name they follow each other.
    more = "(bare_calls layout)*" if rules.parallel and rules.family.bare == "named" else ""
    if rules.choice == "required":
        return _start(rules, f"bare_calls layout {more}")
    if rules.schema is not None:
        return [*_start(rules, f"(answer SPACE? | bare_calls layout {more})"), *_answer(rules, relaxed)]
    words = "(TEXT | begun NOT_CALLED)"
    if later:
        first, then = "bare_calls layout | later layout", f"(later layout {more})*"
    else:
        first, then = "bare_calls layout", ""
    only = f"(bare_calls layout {more})? {then} {words}" if rules.parallel else f"({first} | {words})"
    thought = f" & ~{pattern(escaped(rules.thinking[0]) + '(?s:.*)')}" if rules.thinking else ""
    places = [place_terminals(rules.layout), "LATER: OUTSIDE & NOT_BEGUN & /\\S(?s:.*)/"] if later else []
    return [*_start(rules, only), f"TEXT: /(\\S(?s:.*))?/ & NOT_BEGUN{thought}", *places]


def _words(family: Family) -> list[str]:
    """A line that begins like a call without a mark and is none, and the end of an answer that does.

    No mark opens a call in that line.
    """
    line = f"NOT_CALLED & {without_openings(family, anywhere=True)}"
    return [
        "words: begun words_line",
        "words_line[lazy]: WORDS_LINE",
        f"WORDS_LINE: {line} & /\\s*\\S[^\\n]*\\n/",
        f"LAST_WORDS: {line} & /\\s*(\\S[^\\n]*)?/",
    ]


def _thought_end(rules: AnswerRules) -> str:
    """A thought at the start of the answer: it contains no opening mark, so it ends before the first call."""
    assert rules.thinking is not None
    calling = rules.calls and rules.choice != "none"
    thought = without_openings(rules.family) if calling and rules.family is not None else "/(?s:.*)/"
    return f"THOUGHT: {thought}\nthought_end[lazy]: THOUGHT {literal(rules.thinking[1])}"


def _answer(rules: AnswerRules, relaxed: Mapping[str, Relaxation]) -> list[str]:
    assert rules.schema is not None
    return [f"answer: {_json(rules.schema, {}, relaxed.get(ANSWER))}"]


def _arguments(tool: ToolSchema, part: Mapping[str, Any] | None, relaxed: Mapping[str, Relaxation]) -> str:
    if part is not None:
        return _json(part, {}, relaxed.get(tool.name))
    return _json({"type": "object"} | tool.parameters, {"type": "object"}, relaxed.get(tool.name))


def _without_bounds(tool: ToolSchema) -> ToolSchema:
    """The tool with only the names and types of its arguments."""
    bare: dict[str, Any] = {}
    for key, schema in tool.properties.items():
        types = tool.types(key)
        # Without `additionalProperties`, objects would be empty in some families.
        free = {"type": sorted(types), "additionalProperties": {"description": "anything"}} if types else {}
        bare[key] = False if schema is False else free
    return ToolSchema(tool.name, {"type": "object", "properties": bare, "required": tool.required})


def _json(schema: Mapping[str, Any], anything: Mapping[str, Any], relaxed: Relaxation | None) -> str:
    return json_value(anything if relaxed == "any" else schema, lenient=relaxed == "lenient")


def _free_text(rules: AnswerRules) -> str:
    if rules.family is None:
        return "/(?s:.*)/"
    # As JSON a call is what other answers look like; where none may be made, none is read.
    bare = rules.family.bare if rules.family.bare != "json" else ""
    if rules.choice == "none" and bare and rules.tools:
        starts = call_starts(ToolSchemas(rules.tools))
        begun = starts.bare(bare).pattern.replace(r"\s{0,80}", r"\s*")
        thought = f"(?:(?s:.*){escaped(rules.marks[1])})?" if rules.marks else ""
        begun = pattern(rf"{thought}[\s;,]*(?i:{begun})(?s:.*)")
        return f"{without_openings(rules.family, anywhere=True)} & ~{begun}"
    return "/(?s:.*)/" if rules.choice != "none" else without_openings(rules.family, anywhere=True)


def rules_by_schema(rules: AnswerRules) -> Iterable[tuple[str, AnswerRules]]:
    """The rules with one tool each, and with the answer's schema alone: to find what does not compile."""
    if rules.schema is not None:
        yield ANSWER, AnswerRules(schema=rules.schema)
    if rules.family is not None and rules.choice != "none":
        for tool in rules.tools:
            yield tool.name, AnswerRules(family=rules.family, tools=(tool,))

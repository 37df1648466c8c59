"""The same texts read by this engine and by mlx-lm's parsers as `mlx_lm.server` calls them: a table.

    python -m bench.tool_parsers            # the table of docs/tool-calls.md, as Markdown

Each text is one that a model of the family may write. `right` means that the intended calls were read, `text`
that the client sees the text instead, `lost` neither, and `wrong` any other result.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.answers.pieces import AnswerStyle, Call, Text
from engine.answers.reader import AnswerText
from engine.tool_calls.families.registry import family_named
from engine.tool_calls.reading.family import Family
from engine.tool_calls.schemas.tools import ToolSchemas, tool_schemas

LIBRARY = {
    "hermes": "json_tools",
    "qwen3_coder": "qwen3_coder",
    "glm": "glm47",
    "minimax": "minimax_m2",
    "mistral": "mistral",
    "function_gemma": "function_gemma",
    "gemma4": "gemma4",
    "kimi": "kimi_k2",
}
"""mlx-lm's module for each family; the others have none."""

SHOWN = tuple(
    family_named(name)
    for name in (
        *("minimax", "gemma4", "function_gemma", "glm", "deepseek_v32", "deepseek_v4", "deepseek_v3"),
        *("deepseek_v31", "kimi", "harmony", "mistral", "mistral_v3", "qwen3_coder", "hermes"),
    )
)
"""The families in the table's columns."""

TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "Write",
            "parameters": {
                "type": "object",
                "properties": {
                    "path": {"type": "string"},
                    "content": {"type": "string"},
                    "mode": {"type": "integer"},
                    "backup": {"type": "boolean"},
                    "tags": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["path"],
            },
        },
    }
]

Arguments = dict[str, Any]
Break = Callable[[str, Family], str]


@dataclass(frozen=True)
class Case:
    """The intended calls, and what is done to their text."""

    name: str
    calls: tuple[Arguments, ...]
    broken: Break = lambda text, family: text


def cases() -> list[Case]:
    """The rows of the table."""
    plain = {"path": "/a.py", "content": "x = 1\n", "mode": 420, "backup": True, "tags": ["a", "b"]}
    return [
        Case("a plain call", (plain,)),
        Case("two parallel calls", (plain, {"path": "/b.py", "content": "y"})),
        Case("its own end marks in a text", ({"path": "/a", "content": _MARKS},)),
        Case("the texts `null`, `5`, `true`", ({"path": "null", "content": "5"}, {"path": "true"})),
        Case("100 KB of code", ({"path": "/long", "content": 'print("a\\tb")  # {}[]<>\n' * 4_500},)),
        Case("no end mark", (plain,), _without_end),
        Case("another spelling of the tool", (plain,), lambda text, _: text.replace("Write", "write")),
        Case("a comma too many", (plain,), lambda text, _: text.replace('"b"]', '"b",]')),
        Case("line breaks bare in a string", (plain,), lambda text, _: text.replace("\\n", "\n")),
        Case("a number in quotes", (plain,), lambda text, _: text.replace('"mode": 420', '"mode": "420"')),
    ]


_MARKS = "</tool_call> </parameter> </arg_value> </invoke> <|tool_call_end|> </function>\n"


def _without_end(text: str, family: Family) -> str:
    """The text up to the end of the last argument."""
    last = max(text.rfind(sign) for sign in ("}", "</parameter>", "</arg_value>"))
    return text[: last + 1] if text[last] == "}" else text[: text.index(">", last) + 1]


def main() -> int:
    """Print the table."""
    tools = tool_schemas(TOOLS)
    rows = [(case.name, *_verdicts(case, tools)) for case in cases()]
    names = [family.name for family in SHOWN]
    print("| what the model writes | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for name, *verdicts in rows:
        print(f"| {name} | " + " | ".join(verdicts) + " |")
    return 0


def _verdicts(case: Case, tools: ToolSchemas) -> Iterator[str]:
    """For each family: our result, and mlx-lm's behind a slash if it has a parser."""
    for family in SHOWN:
        whole = family.write([("Write", arguments) for arguments in case.calls], tools)
        text = case.broken(whole, family)
        if text == whole and case.broken is not Case.broken:
            yield "–"
            continue
        wanted = [("Write", arguments) for arguments in case.calls]
        own = _ours(family, text, tools, wanted)
        module = LIBRARY.get(family.name)
        yield f"{own} / {_theirs(module, text, wanted)}" if module else own


def _ours(family: Family, text: str, tools: ToolSchemas, wanted: list[tuple[str, Arguments]]) -> str:
    style = AnswerStyle(family=family, tools=tools, drop=family.layout)
    reader = AnswerText(Letters(text), style)
    pieces = [piece for number in range(len(text)) for piece in reader.add(number)] + reader.finish()
    found = [(piece.name, json.loads(piece.arguments)) for piece in pieces if isinstance(piece, Call)]
    shown = "".join(piece.text for piece in pieces if isinstance(piece, Text))
    return _verdict(found, shown, wanted)


def _theirs(module: str, text: str, wanted: list[tuple[str, Arguments]]) -> str:
    """As the server does: the text between the marks is parsed, and an error drops it."""
    parser = importlib.import_module(f"mlx_lm.tool_parsers.{module}")
    start, end = parser.tool_call_start, parser.tool_call_end
    found: list[tuple[str, Arguments]] = []
    shown = ""
    while text:
        before, mark, text = text.partition(start)
        shown += before.strip()
        if not mark:
            break
        inner, _, text = text.partition(end) if end else (text, "", "")
        try:
            parsed = parser.parse_tool_call(inner, TOOLS)
        except ValueError:
            continue
        except Exception as error:
            return f"raises {type(error).__name__}"
        for call in parsed if isinstance(parsed, list) else [parsed]:
            found.append((call["name"], call["arguments"]))
    return _verdict(found, shown, wanted)


def _verdict(found: list[tuple[str, Arguments]], shown: str, wanted: list[tuple[str, Arguments]]) -> str:
    if found == wanted and not shown.strip():
        return "right"
    if not found:
        return "text" if shown.strip() else "lost"
    return "wrong"


class Letters:
    """A detokenizer whose tokens are the characters of one text, or the parts of one."""

    def __init__(self, text: str | Sequence[str]) -> None:
        self._text = text
        self.last_segment = ""

    def add_token(self, token: int) -> None:
        self.last_segment = self._text[token]

    def finalize(self) -> None:
        self.last_segment = ""


if __name__ == "__main__":
    sys.exit(main())

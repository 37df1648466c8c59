"""The chat tests of llama.cpp, as its source tells them: outputs with the calls that are meant.

A test is `tst.test(OUTPUT)` with a chain of methods: `tools` are offered, `expect` and `expect_tool_calls`
say what is meant. A family and the marks of thinking follow from the test's chat template, as when a model
loads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from bench.peer_tests.cpp_source import braced, chain, closing, literal, parts
from bench.peer_tests.judging import Meant, Output
from bench.template_report.tokenizers import template_tokenizer
from engine.prompts.model_forms import ModelForms, model_forms
from engine.tool_calls.schemas.tools import ToolSchema

_TEST = re.compile(r"\btst\s*\.\s*test\s*\(")
_TESTER = re.compile(r"\bpeg_tester\(")
_FUNCTION = re.compile(r"^static void (\w+)\(", re.MULTILINE)
_JINJA = re.compile(r'"([^"]+\.jinja)"')
_TOOL = re.compile(r"common_chat_tool (\w+)\s*\{")
_MESSAGE = re.compile(r"(?:common_chat_msg|auto) (\w+)\s*=\s*(?=[a-z_]*(?:msg|message)\w*\()")
_HELPER = re.compile(r"(\w+)\s*\(")
_CALLS = {
    # Where the name and the arguments of a message's call stand.
    "simple_assist_msg": (2, 3),
    "message_with_tool_calls": (0, 1),
    "message_with_tool_calls_and_reasoning": (0, 1),
    "message_with_content_and_tool_call": (1, 2),
    "message_with_reasoning_and_tool_call": (1, 2),
}
_SEVERAL = "message_with_reasoning_content_and_multiple_tool_calls"


class NotTold(ValueError):
    """A test does not tell in its source what is meant."""


def outputs(peer: str, checkout: Path) -> Iterator[Output]:
    """The outputs of `tests/test-chat.cpp` in a checkout."""
    source = (checkout / "tests" / "test-chat.cpp").read_text("utf-8")
    test = _Tests(peer, checkout, source)
    for found in _TEST.finditer(source):
        yield from test.outputs(found.start(), found.end())


class _Tests:
    def __init__(self, peer: str, checkout: Path, source: str) -> None:
        self._peer, self._checkout, self._source = peer, checkout, source
        self._templates = [(found.start(), self._named(found.end())) for found in _TESTER.finditer(source)]
        self._tools = {
            found[1]: tool
            for found in _TOOL.finditer(source)
            if (tool := _tool(source[found.end() : closing(source, found.end())])) is not None
        }
        self._messages = {
            found[1]: source[found.end() : source.index(";\n", found.end())]
            for found in _MESSAGE.finditer(source)
        }

    def outputs(self, begin: int, at: int) -> Iterator[Output]:
        """The output of the test that begins there, with each of its templates."""
        end = closing(self._source, at)
        name = f"test-chat.cpp:{self._source.count(chr(10), 0, begin) + 1}"
        text = literal(self._source[at:end])
        methods = dict(chain(self._source, end + 1))
        templates = next((files for place, files in reversed(self._templates) if place < begin), [])
        try:
            if text is None:
                raise NotTold("its text is computed")
            if not templates:
                raise NotTold("its template is not in the checkout")
            if methods.get("is_partial") == "true":
                raise NotTold("a part of an output")
            meant = self._meant(methods)
        except NotTold as error:
            yield Output(self._peer, name, text or "", why=str(error))
            return
        tools = self._offered(methods, meant)
        for template in templates:
            forms = _forms(template)
            start, close = thinking = forms.thinking or ("", "")
            # The test's prompt has opened it.
            opened = bool(close) and close in text and start not in text.partition(close)[0]
            yield Output(
                self._peer, name, text, forms.family, tools, meant, thinking=thinking, opens_thinking=opened
            )

    def _named(self, at: int) -> list[Path]:
        """The templates of what stands at `at`: a path, the variable of a loop, a function's argument."""
        argument = parts(self._source[at : closing(self._source, at)])[0]
        if (path := literal(argument)) is not None:
            return [file] if (file := self._checkout / path).is_file() else []
        function = list(_FUNCTION.finditer(self._source, 0, at))[-1]
        loops = re.finditer(rf"\bfor \([^:;{{}}]*\b{argument}\s*:\s*\{{", self._source[:at])
        if inside := [loop.end() for loop in loops if loop.start() > function.start()]:
            paths = _JINJA.findall(self._source[inside[-1] : closing(self._source, inside[-1])])
            return [file for path in paths if (file := self._checkout / path).is_file()]
        called = re.search(rf"(?<!static void )\b{function[1]}\((?=\w+,)", self._source)
        return self._named(called.end()) if called else []

    def _offered(self, methods: dict[str, str], meant: tuple[Meant, ...]) -> tuple[ToolSchema, ...]:
        offered = []
        for one in parts(methods.get("tools", "").strip().removeprefix("{").removesuffix("}")):
            tool = self._tools.get(one) or _tool(one.strip().removeprefix("{").removesuffix("}"))
            offered += [tool] if tool is not None else []
        return tuple(offered) or tuple(ToolSchema(name) for name, _ in dict(meant).items())

    def _meant(self, methods: dict[str, str]) -> tuple[Meant, ...]:
        if "expect_tool_calls" in methods:
            return _listed(methods["expect_tool_calls"])
        if "expect" in methods:
            return self._of_message(methods["expect"])
        return ()

    def _of_message(self, expression: str) -> tuple[Meant, ...]:
        expression = self._messages.get(expression.strip(), expression).strip()
        helper = _HELPER.match(expression)
        if helper is None:
            raise NotTold("its message is computed")
        given = parts(expression[helper.end() : closing(expression, helper.end())])
        if helper[1] == _SEVERAL:
            return _listed(given[2])
        if helper[1] not in _CALLS:
            raise NotTold("its message is computed")
        name, arguments = (literal(given[place]) if place < len(given) else "" for place in _CALLS[helper[1]])
        return (_call(name, arguments),) if name else ()


def _listed(expression: str) -> tuple[Meant, ...]:
    members = braced(expression.strip())
    if members is None:
        raise NotTold("its calls are computed")
    calls = []
    for member in members:
        fields = [re.sub(r"\A\.\w+\s*=\s*", "", field) for field in braced(member) or ()]
        if len(fields) < 2:
            raise NotTold("its calls are computed")
        calls.append(_call(literal(fields[0]), literal(fields[1])))
    return tuple(calls)


def _call(name: str | None, arguments: str | None) -> Meant:
    if name is None or arguments is None:
        raise NotTold("its calls are computed")
    try:
        return name, json.loads(arguments or "{}")
    except ValueError:
        raise NotTold("a part of a call") from None


def _tool(members: str) -> ToolSchema | None:
    texts = [literal(re.sub(r"\A\.\w+\s*=\s*", "", member)) for member in parts(members)]
    if len(texts) < 3 or not texts[0] or texts[2] is None:
        return None
    schema: Any = json.loads(texts[2])
    return ToolSchema(texts[0], schema)


@cache
def _forms(template: Path) -> ModelForms:
    return model_forms(template_tokenizer(template.read_text("utf-8")))

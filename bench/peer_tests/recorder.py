"""A plugin of pytest: notes what a peer's own parser reads in each of its tests.

The peer's checkout is in `PEER_CHECKOUT`; the notes go to the file `PEER_NOTES` as JSON: a list of tests with
their outcome and what was read in them.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.peer_tests import stand_ins

stand_ins.install(Path(os.environ["PEER_CHECKOUT"]))

_tests: dict[str, dict[str, Any]] = {}
_running: list[dict[str, Any]] = []
_streams: list[Streamed] = []
_depth = 0


def _tools(tools: Any) -> list[dict[str, Any]]:
    """Tools of a request as name and schema."""
    found = []
    for tool in tools if isinstance(tools, list | tuple) else []:
        function = (
            tool.get("function", tool) if isinstance(tool, dict) else (_field(tool, "function") or tool)
        )
        name, schema = _field(function, "name"), _field(function, "parameters")
        if isinstance(name, str):
            found.append({"name": name, "schema": schema if isinstance(schema, dict) else {}})
    return found


def _field(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)


class Streamed:
    """The calls that one parser has sent in parts, as a note of the running test."""

    def __init__(self, parser: Any, tools: Any) -> None:
        self._calls: dict[int, list[str]] = {}
        self.note: dict[str, Any] = {"parser": type(parser).__name__, "tools": _tools(tools), "text": ""}
        self.read_whole: Callable[[str], list[list[str]]] | None = None
        _running.append(self.note)
        _streams.append(self)

    def add(self, index: int, name: str | None, arguments: str | None) -> None:
        call = self._calls.setdefault(index, ["", ""])
        call[0] += name or ""
        call[1] += arguments or ""

    def end(self) -> None:
        """The test is over: note the calls, and what the parser reads in the text as a whole."""
        self.note["calls"] = [self._calls[index] for index in sorted(self._calls)]
        try:
            self.note["whole"] = self.read_whole(self.note["text"]) if self.read_whole else None
        except Exception as error:  # parsers raise anything
            self.note["whole"] = str(error)


def _outermost(wrapped: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
    @functools.wraps(wrapped)
    def read(self: Any, *given: Any, **named: Any) -> Any:
        global _depth
        _depth += 1
        try:
            result = wrapped(self, *given, **named)
        finally:
            _depth -= 1
        if _depth == 0:
            note(self, result, *given, **named)
        return result

    return read


def _streamed(parser: Any, tools: Any, *, anew: bool = False) -> Streamed:
    found = parser.__dict__.get("_streamed_here")
    if found is None or anew:
        found = parser.__dict__["_streamed_here"] = Streamed(parser, tools)
    return found  # type: ignore[no-any-return]


def _vllm_calls(result: Any) -> list[list[str]]:
    return [[call.function.name, call.function.arguments] for call in result.tool_calls or []]


def _sglang_calls(result: Any) -> list[list[str]]:
    return [[call.name, call.parameters] for call in result.calls]


def _note(parser: Any, text: str, tools: Any, calls: list[list[str]]) -> None:
    name = type(parser).__name__
    _running.append({"parser": name, "text": text, "tools": _tools(tools), "calls": calls})


def _note_vllm(parser: Any, result: Any, model_output: str, request: Any = None, **_: Any) -> None:
    _note(parser, model_output, _offered(parser, request), _vllm_calls(result))


def _note_vllm_part(parser: Any, result: Any, *given: Any, **named: Any) -> None:
    names = ("previous_text", "current_text", "delta_text", "", "", "", "request")
    values = {**dict(zip(names, given, strict=False)), **named}
    tools = _offered(parser, values.get("request"))
    current = values["current_text"]
    streamed = _streamed(parser, tools)
    if current and not current.startswith(streamed.note["text"]):
        streamed = _streamed(parser, tools, anew=True)
    streamed.note["text"] = current or streamed.note["text"] + values["delta_text"]
    for call in (result.tool_calls or []) if result is not None else []:
        function = call.function
        streamed.add(call.index or 0, _field(function, "name"), _field(function, "arguments"))
    streamed.read_whole = lambda text: _vllm_calls(parser.extract_tool_calls(text, values.get("request")))


def _note_sglang(parser: Any, result: Any, text: str, tools: Any) -> None:
    _note(parser, text, tools, _sglang_calls(result))


def _note_sglang_part(parser: Any, result: Any, new_text: str, tools: Any) -> None:
    streamed = _streamed(parser, tools)
    streamed.note["text"] += new_text
    for call in result.calls:
        streamed.add(call.tool_index, call.name, call.parameters)
    streamed.read_whole = lambda text: _sglang_calls(type(parser)().detect_and_parse(text, tools))


def _offered(parser: Any, request: Any) -> Any:
    return getattr(parser, "tools", None) or getattr(request, "tools", None)


_NOTES: dict[str, Callable[..., None]] = {
    "extract_tool_calls": _note_vllm,
    "extract_tool_calls_streaming": _note_vllm_part,
    "detect_and_parse": _note_sglang,
    "parse_streaming_increment": _note_sglang_part,
}


def _watch(base: type) -> None:
    """Note what subclasses of a parser read."""

    def subclassed(cls: type, **_: Any) -> None:
        for name, note in _NOTES.items():
            if name in cls.__dict__:
                setattr(cls, name, _outermost(cls.__dict__[name], note))

    base.__init_subclass__ = classmethod(subclassed)  # type: ignore[assignment,arg-type]
    for name, note in _NOTES.items():
        if name in base.__dict__:
            setattr(base, name, _outermost(base.__dict__[name], note))


def _watch_mlx_lm() -> None:
    """Note what its modules read: each has a function that gets the text between its marks."""
    package = importlib.import_module("mlx_lm.tool_parsers")
    for found in pkgutil.iter_modules(package.__path__):
        module: Any = importlib.import_module(f"mlx_lm.tool_parsers.{found.name}")
        if hasattr(module, "parse_tool_call"):
            module.parse_tool_call = _noted(module, module.parse_tool_call)


def _noted(module: Any, parse: Callable[..., Any]) -> Callable[..., Any]:
    def parse_tool_call(text: str, tools: Any = None) -> Any:
        parsed = parse(text, tools)
        calls = [
            [call["name"], json.dumps(call["arguments"])]
            for call in (parsed if isinstance(parsed, list) else [parsed])
        ]
        whole = f"{module.tool_call_start}{text}{module.tool_call_end}"
        name = module.__name__.rpartition(".")[2]
        _running.append({"parser": name, "text": whole, "tools": _tools(tools), "calls": calls})
        return parsed

    return parse_tool_call


@pytest.fixture(scope="module")
def default_tokenizer() -> stand_ins.Tokenizer:
    return stand_ins.tokenizer()


qwen_tokenizer = default_tokenizer
"""Fixtures of conftest files, which import more of a peer than its parsers."""


def pytest_configure() -> None:
    checkout = Path(os.environ["PEER_CHECKOUT"])
    if (checkout / "mlx_lm").is_dir():
        _watch_mlx_lm()
    elif (checkout / "vllm").is_dir():
        from vllm.tool_parsers.abstract_tool_parser import ToolParser  # type: ignore[import-not-found]

        _watch(ToolParser)
    else:
        from sglang.srt.function_call.base_format_detector import (  # type: ignore[import-not-found]
            BaseFormatDetector,
        )

        _watch(BaseFormatDetector)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    global _running, _streams, _depth
    _running, _streams, _depth = [], [], 0
    noted = _running
    _tests[item.nodeid] = {"test": item.nodeid, "outcome": "", "why": "", "read": noted}
    yield
    _running = []
    for streamed in _streams:
        streamed.end()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    test = _tests[report.nodeid]
    if report.when == "call" or report.outcome != "passed":
        test["outcome"] = "expected to fail" if hasattr(report, "wasxfail") else report.outcome
        test["why"] = str(report.longrepr)[-400:] if report.failed else ""


def pytest_sessionfinish() -> None:
    Path(os.environ["PEER_NOTES"]).write_text(json.dumps(list(_tests.values())), "utf-8")

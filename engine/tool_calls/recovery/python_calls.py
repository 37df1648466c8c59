"""Calls in Python's syntax: `Read(file_path="/a")`, alone or several in a list."""

from __future__ import annotations

import ast
import re
from typing import Any

from engine.tool_calls.recovery.call_shapes import ShapedCall
from engine.tool_calls.schemas.name_matching import matching_name
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas
from engine.wire.python_text import parse_statements

_BACKSLASH = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = frozenset("\\'\"abfnrtvxNuU01234567\n")
_PLAIN_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_NAMES = {"true": True, "false": False, "null": None}


class _NoLiteral(ValueError):
    """An expression that is not a plain value."""


def python_calls(text: str, tools: ToolSchemas) -> list[ShapedCall]:
    """The calls that a text consists of; none if it is anything else, or calls an unknown tool."""
    # An unknown escape makes the parser warn, and shows that the text is not Python.
    if "(" not in text or not _ESCAPES.issuperset(_BACKSLASH.findall(text)):
        return []
    if odd := [name for name in tools if f"{name}(" in text and not _PLAIN_NAME.fullmatch(name)]:
        return _with_other_names(text, odd, tools)
    try:
        tree = parse_statements(text.strip())
        nodes = [_expression(statement) for statement in tree.body]
        return [call for node in nodes for call in _calls(node, tools)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _with_other_names(text: str, names: list[str], tools: ToolSchemas) -> list[ShapedCall]:
    """The calls of a text with tools whose names Python does not read, such as those with dashes."""
    others = {f"tool_name_{number}": name for number, name in enumerate(sorted(names, key=len, reverse=True))}
    if any(other in text for other in others):
        return []
    for other, name in others.items():
        text = text.replace(f"{name}(", f"{other}(")
    known = ToolSchemas([*tools.values(), *(ToolSchema(other) for other in others)])

    def restored(value: Any) -> Any:
        match value:
            case str():
                for other, name in others.items():
                    value = value.replace(f"{other}(", f"{name}(")
            case dict():
                return {restored(key): restored(part) for key, part in value.items()}
            case list():
                return [restored(part) for part in value]
        return value

    found = python_calls(text, known)
    return [ShapedCall(others.get(call.name, call.name), restored(call.arguments)) for call in found]


def _expression(statement: ast.stmt) -> ast.expr:
    if not isinstance(statement, ast.Expr):
        raise _NoLiteral
    return statement.value


def _calls(node: ast.expr, tools: ToolSchemas) -> list[ShapedCall]:
    if isinstance(node, ast.List | ast.Tuple):
        return [call for element in node.elts for call in _calls(element, tools)]
    if not isinstance(node, ast.Call):
        raise _NoLiteral
    spelled = ast.unparse(node.func)
    if spelled == "print" and len(node.args) == 1 and not node.keywords:
        return _calls(node.args[0], tools)
    if matching_name(spelled, tools) is None:
        raise _NoLiteral
    return [ShapedCall(spelled, _arguments(node))]


def _arguments(node: ast.Call) -> dict[str, Any]:
    if len(node.args) == 1 and not node.keywords and isinstance(node.args[0], ast.Dict):
        value = _literal(node.args[0])
        assert isinstance(value, dict)
        return value
    if node.args:
        raise _NoLiteral
    arguments: dict[str, Any] = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise _NoLiteral
        arguments[keyword.arg] = _literal(keyword.value)
    return arguments


def _literal(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=None | bool() | int() | float() | str()):
            return node.value
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return [_literal(element) for element in elements]
        case ast.Dict():
            pairs = [(_key(key), _literal(value)) for key, value in zip(node.keys, node.values, strict=True)]
            if len(dict(pairs)) == len(pairs):
                return dict(pairs)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.Name(id=name) if name in _NAMES:
            return _NAMES[name]
    raise _NoLiteral


def _key(node: ast.expr | None) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise _NoLiteral

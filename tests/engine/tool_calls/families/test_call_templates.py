"""Calls that the models' own templates rendered in history are read back."""

from __future__ import annotations

import json
from typing import Any

import jinja2
import pytest

from engine.tool_calls.families.registry import family_named
from tests.engine.tool_calls import call_templates
from tests.engine.tool_calls.call_making import MARKS, TOOLS
from tests.engine.tool_calls.reading import read, read_by

GEMMAS = {
    "function_gemma": {"opening": "<start_function_call>", "end": "<end_function_call>", "quote": "<escape>"},
    "gemma4": {"opening": "<|tool_call>", "end": "<tool_call|>", "quote": '<|"|>'},
}
RENDERINGS: list[tuple[str, str, dict[str, str]]] = [
    ("qwen3_coder", call_templates.QWEN3_CODER, {}),
    ("glm", call_templates.GLM_45, {}),
    ("glm", call_templates.GLM_47, {}),
    ("minimax", call_templates.MINIMAX, {}),
    ("mistral", call_templates.MISTRAL, {}),
    ("mistral_v3", call_templates.MISTRAL_V3, {}),
    ("function_gemma", call_templates.GEMMA, GEMMAS["function_gemma"]),
    ("gemma4", call_templates.GEMMA, GEMMAS["gemma4"]),
    ("harmony", call_templates.HARMONY, {}),
    ("deepseek_v3", call_templates.DEEPSEEK_V3, {}),
    ("deepseek_v31", call_templates.DEEPSEEK_V31, {}),
    ("deepseek_v32", call_templates.DSML, {"section": "function_calls"}),
    ("deepseek_v4", call_templates.DSML, {"section": "tool_calls"}),
    ("kimi", call_templates.KIMI, {}),
    ("hermes", call_templates.HERMES, {}),
]
every_template = pytest.mark.parametrize(
    ("name", "template", "names"),
    RENDERINGS,
    ids=[f"{name}-{number}" for number, (name, *_) in enumerate(RENDERINGS)],
)
CALLS: list[tuple[str, dict[str, Any]]] = [
    (
        "Write",
        {
            "all": False,
            "content": "\n def f():\n\treturn '{}'\n\n",
            "count": 12,
            "edits": [{"new": "it's", "old": 'a "b"\n'}, {"new": "", "old": "é😀"}],
            "file_path": "/tmp/a b.py",
            "nothing": None,
            "options": {"deep": {"list": [1, 2.5, None, True, "null"]}, "empty": {}},
            "ratio": 1e-07,
            "tags": ["x", "null", "5"],
        },
    ),
    ("go", {}),
    ("mcp__disk__list-all", {"path": "null"}),
]


def render(template: str, names: dict[str, str], calls: list[tuple[str, dict[str, Any]]]) -> str:
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    listed = [{"name": name, "arguments": arguments} for name, arguments in calls]
    return environment.from_string(template).render(calls=listed, **names)


@every_template
def test_what_a_template_renders_is_read_back(name: str, template: str, names: dict[str, str]) -> None:
    family = family_named(name)
    rendered = render(template, names, CALLS)
    answer = read(family, rendered, TOOLS)
    assert answer.calls == CALLS
    assert read_by(1, family, rendered, TOOLS) == answer


@every_template
def test_a_files_content_may_contain_the_familys_marks(
    name: str, template: str, names: dict[str, str]
) -> None:
    family = family_named(name)
    for mark in MARKS[name]:
        for content in (
            mark,
            f"{mark}\n",
            f"\n{mark}",
            f"a {mark} b {mark}",
            "\n".join(MARKS[name]),
        ):
            calls: list[tuple[str, dict[str, Any]]] = [("Write", {"content": content, "file_path": "/a"})]
            assert read_by(1, family, render(template, names, calls), TOOLS).calls == calls

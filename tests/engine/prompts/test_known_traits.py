"""The traits of a template are probed once."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from bench.template_report.own_templates import OWN_TEMPLATES
from engine.prompts.probing import known_traits
from engine.prompts.probing.adaptations import adaptations
from engine.prompts.probing.known_traits import KnownTraits, traits_name
from engine.prompts.rendering import PromptRenderer
from engine.prompts.template_traits import TemplateTraits
from tests.engine.template_shapes import Templated

ODD = TemplateTraits(
    parallel_calls=False,
    call_text="before",
    empty_content=None,
    thinking_text=("<think>", "</think>"),
    fixed_kwargs={"preserve_thinking": True},
    turn_starts=frozenset({3, 5}),
)


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process."""
    monkeypatch.setattr(known_traits, "_known", type(known_traits._known)())


@pytest.mark.usefixtures("forgetful")
def test_traits_are_read_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "traits.json"
    KnownTraits(file).put("one", ODD)
    monkeypatch.setattr(known_traits, "_known", type(known_traits._known)())
    assert KnownTraits(file).get("one") == ODD
    assert KnownTraits(file).get("two") is None


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize(
    "stored",
    [
        "no json",
        "[1]",
        json.dumps({"one": {}}),
        json.dumps({"one": ODD.document() | {"parallel_calls": "no"}}),
        json.dumps({"one": ODD.document() | {"turn_starts": ["x"]}}),
        json.dumps({"one": ODD.document() | {"thinking_text": "<"}}),
    ],
)
def test_a_damaged_file_counts_as_empty(tmp_path: Path, stored: str) -> None:
    file = tmp_path / "traits.json"
    file.write_text(stored)
    assert KnownTraits(file).get("one") is None


@pytest.mark.usefixtures("forgetful")
def test_a_renderer_with_known_traits_renders_alike(tokenizer: Any, tmp_path: Path) -> None:
    templated = Templated(tokenizer, OWN_TEMPLATES["thinking in a field of its own"])
    known = KnownTraits(tmp_path / "traits.json")
    first, second = (PromptRenderer(templated, known=known) for _ in range(2))
    assert first.traits == second.traits
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "", "tool_calls": [call], "reasoning_content": "musing"},
        {"role": "tool", "tool_call_id": "c", "content": "seen"},
    ]
    assert first.render(messages) == second.render(messages)
    assert "musing" in second.render(messages).text


def test_another_template_or_tokenizer_has_another_name() -> None:
    names = {
        traits_name(source, tokens, told)
        for source in ("a", "b")
        for tokens in ({}, {1: "<x>"})
        for told in ({}, {"format": "glm"})
    }
    assert len(names) == 8


def test_each_trait_is_told() -> None:
    assert adaptations(TemplateTraits()) == ()
    told = adaptations(ODD)
    assert "several calls of a turn are split, each with its result" in told
    assert "the thinking of answers with calls is written as text between <think> and </think>" in told
    assert "set for the template: preserve_thinking=True" in told
    switches = [field.name for field in dataclasses.fields(TemplateTraits) if isinstance(field.default, bool)]
    for name in set(switches) - {"tools_rendered"}:
        assert adaptations(
            dataclasses.replace(TemplateTraits(), **{name: not getattr(TemplateTraits(), name)})
        )

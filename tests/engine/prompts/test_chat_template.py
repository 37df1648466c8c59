"""A model's chat template is found in any of its places; an unusable one is reported."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.stdlib_tokenizer import CHAT_TEMPLATE
from engine.models.loading import load_model
from engine.models.tokenizer_loading import load_tokenizer
from engine.prompts.chat_template import template_text
from engine.prompts.rendering import PromptRenderer
from tests.models import ModelShelf
from tests.servers import engine

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def named(word: str) -> str:
    """A template that writes its name, the messages and the tools."""
    each = "{% for message in messages %}|{{ message.content }}{% endfor %}"
    return f"{word}{each}{{% if tools %}}|{{{{ tools | tojson }}}}{{% endif %}}"


Kept = Mapping[str, Any]


@pytest.fixture
def folder(shelf: ModelShelf, tmp_path: Path) -> Path:
    """A model without a template."""
    copy = Path(shutil.copytree(shelf.tiny(), tmp_path / "model"))
    (copy / "chat_template.jinja").unlink()
    return copy


def keep(folder: Path, kept: Kept) -> None:
    for name, content in kept.items():
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        if name == "tokenizer_config.json":
            content = json.loads(file.read_text()) | content
        file.write_text(content if isinstance(content, str) else json.dumps(content))


JINJA = {"chat_template.jinja": named("jinja")}
TOOLS = {"additional_chat_templates/tool_use.jinja": named("tools")}
INLINE = {"tokenizer_config.json": {"chat_template": named("inline")}}
BOTH = [{"name": "default", "template": named("default")}, {"name": "tool_use", "template": named("tools")}]
SIDECAR = {"chat_template.json": {"chat_template": named("sidecar")}}


@pytest.mark.parametrize(
    ("kept", "plain", "with_tools"),
    [
        (JINJA, "jinja", "jinja"),
        (INLINE, "inline", "inline"),
        (SIDECAR, "sidecar", "sidecar"),
        (JINJA | INLINE | SIDECAR, "jinja", "jinja"),
        (INLINE | SIDECAR, "inline", "inline"),
        ({"tokenizer_config.json": {"chat_template": BOTH}}, "default", "tools"),
        ({"tokenizer_config.json": {"chat_template": BOTH[1:]}}, "tools", "tools"),
        ({"chat_template.json": {"chat_template": BOTH}}, "default", "tools"),
        ({"chat_template.json": {"chat_template": {"default": named("default")}}}, "default", "default"),
        (JINJA | TOOLS, "jinja", "tools"),
        (JINJA | TOOLS | INLINE, "jinja", "tools"),
        (INLINE | TOOLS, "inline", "tools"),
        (SIDECAR | TOOLS, "sidecar", "tools"),
        (TOOLS, "tools", "tools"),
        ({"tokenizer_config.json": {"chat_template": ""}} | SIDECAR, "sidecar", "sidecar"),
        ({"tokenizer_config.json": {"chat_template": None}} | SIDECAR, "sidecar", "sidecar"),
    ],
)
def test_a_template_is_found_wherever_it_is_kept(
    folder: Path, kept: Kept, plain: str, with_tools: str
) -> None:
    keep(folder, kept)
    found = load_tokenizer(folder)
    assert found.template_fault == ""
    assert plain in template_text(found.tokenizer)
    renderer = PromptRenderer(found.tokenizer)
    messages = [{"role": "user", "content": "hi"}]
    assert renderer.text(messages)[0] == f"{plain}|hi"
    assert renderer.text(messages, [TOOL])[0].startswith(f"{with_tools}|hi|")


USELESS: list[tuple[Kept, str]] = [
    ({}, "the model has no chat template"),
    ({"chat_template.json": "{"}, "the model has no chat template"),
    ({"chat_template.json": {"chat_template": 3}}, "the model has no chat template"),
    ({"chat_template.json": []}, "the model has no chat template"),
    ({"chat_template.jinja": "{% for m in messages %}\n{{ m.content "}, "has a fault in line 2"),
    ({"chat_template.jinja": "{{ messages | nosuchfilter }}"}, "has a fault in line 1 (No filter named"),
    ({"chat_template.json": {"chat_template": "{% if %}"}}, "has a fault in line 1"),
    ({"chat_template.jinja": "  \n"}, "is empty"),
    ({"chat_template.jinja": "version https://git-lfs.github.com/spec/v1"}, "does not show what it is given"),
    ({"chat_template.jinja": "{{ raise_exception('never') }}"}, "refuses all messages (never)"),
    (JINJA | {"additional_chat_templates/tool_use.jinja": "{% if %}"}, "tool_use has a fault in line 1"),
]


@pytest.mark.parametrize(("kept", "says"), USELESS)
def test_an_unusable_template_is_disabled_and_logged(
    folder: Path, caplog: pytest.LogCaptureFixture, kept: Kept, says: str
) -> None:
    keep(folder, kept)
    loaded = load_model(folder)
    assert says in loaded.template_fault
    assert loaded.template_fault in loaded.notes
    assert f"model: {loaded.template_fault}" in caplog.messages
    text, _ = PromptRenderer(loaded.tokenizer).text([{"role": "user", "content": "hi"}])
    assert text == "User: hi\n\nAssistant:"


def test_a_template_that_refuses_some_messages_is_kept(folder: Path) -> None:
    refusing = "{% if messages[0].role == 'user' %}{{ raise_exception('no') }}{% endif %}" + named("strict")
    keep(folder, {"chat_template.jinja": refusing})
    assert load_tokenizer(folder).template_fault == ""


@pytest.mark.slow
@pytest.mark.parametrize("kept", [{}, {"chat_template.jinja": "{% for m in"}], ids=["none", "broken"])
def test_each_request_and_the_health_of_the_engine_say_that_there_is_no_template(
    folder: Path, tmp_path: Path, kept: Kept
) -> None:
    keep(folder, kept)
    body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
    with engine(folder, tmp_path / "home") as running:
        answer = httpx.post(
            f"{running.url}/v1/chat/completions",
            json=body | {"stream": True},
            headers={"x-anyclaude-feed": "1"},
            timeout=60,
        )
        assert answer.status_code == 200
        assert "messages are written to it as plain text" in answer.text
        (note,) = httpx.get(f"{running.url}/health", timeout=60).json()["notes"]
        assert "messages are written to it as plain text" in note


def test_the_template_of_the_tests_has_no_fault(shelf: ModelShelf) -> None:
    found = load_tokenizer(shelf.tiny())
    assert found.template_fault == ""
    assert template_text(found.tokenizer) == CHAT_TEMPLATE

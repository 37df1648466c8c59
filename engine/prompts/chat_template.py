"""Which chat template a model has, and what is wrong with it; checked when the model loads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import TemplateSyntaxError

from engine.model_files.errors import first_line
from engine.model_files.template_files import template_files
from engine.prompts.template_traits import PROBE_TOOL
from engine.wire.chat import Message

Templates = str | dict[str, str]
"""One, or several by name; transformers takes `tool_use` where tools are offered, else `default`."""

_WORD = "probebravo"
_DAY = datetime(2026, 1, 1)
_FUNCTIONS, _TOOLS = re.compile(r"[-({+~]\s*functions\b"), re.compile(r"\btools\b")
_PLAIN = "messages are written to it as plain text (User: …)"


def template_text(tokenizer: Any) -> str:
    """The text of a tokenizer's template, or of all its templates."""
    template = getattr(tokenizer, "chat_template", None)
    if isinstance(template, dict):
        return "\n".join(str(text) for text in template.values())
    return template if isinstance(template, str) else ""


def own_variables(source: str, tools: Any, day: datetime = _DAY) -> dict[str, str]:
    """The variables of a template that reads tools and the time as text, under names of its own."""
    if not _FUNCTIONS.search(source) or _TOOLS.search(source):
        return {}
    return {"functions": json.dumps(tools or [], ensure_ascii=False), "datetime": f"{day:%Y-%m-%d %H:%M:%S}"}


def template_of(tokenizer: Any) -> Callable[..., str]:
    """A function that renders messages and tools with the model's own template, and raises what it raises."""

    def render(
        messages: list[Message], tools: Any, add_generation_prompt: bool = True, **template_kwargs: Any
    ) -> str:
        if not getattr(tokenizer, "has_chat_template", False):
            raise ValueError("the model has no chat template")
        template_kwargs = own_variables(template_text(tokenizer), tools) | template_kwargs
        return str(
            tokenizer.apply_chat_template(
                messages,
                tools=tools,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                **template_kwargs,
            )
        )

    return render


def missing_templates(folder: Path) -> Templates | None:
    """The templates that transformers would not find, to be passed to it; None if it finds them."""
    files = template_files(folder)
    if "default" in files.jinja or ("default" in files.inline and not files.jinja):
        return None
    found = files.all
    if not found:
        return None
    if "default" not in found:
        found["default"] = found.get("tool_use") or found[min(found)]
    return found["default"] if len(found) == 1 else found


def check_template(tokenizer: Any) -> str:
    """Disable an unusable template in mlx-lm's wrapper; returns why, as a sentence.

    A template that refuses some messages is usable: see `engine.prompts.template_traits`.
    """
    if not tokenizer.has_chat_template:
        return f"the model has no chat template; {_PLAIN}"
    template = tokenizer.chat_template
    if template is None:
        return ""  # mlx-lm's own renderer
    fault = _fault(tokenizer, template)
    if fault:
        tokenizer.has_chat_template = False
        return f"the model's chat template {fault}; {_PLAIN}"
    return ""


def _fault(tokenizer: Any, template: Any) -> str:
    """What is wrong with a template; one that refuses all messages is unusable if no other accepts any."""
    named = template if isinstance(template, dict) else {"": template}
    refusals = []
    for name, text in named.items():
        if not isinstance(text, str) or not text.strip():
            return "is empty"
        try:
            rendered, refusal = _rendered(tokenizer, text)
        except TemplateSyntaxError as error:
            return f"{name} has a fault in line {error.lineno} ({first_line(error)})".strip()
        if rendered and not any(_WORD in one for one in rendered):
            return f"{name} does not show what it is given".strip()
        refusals.append("" if rendered else refusal)
    return f"refuses all messages ({refusals[0]})" if refusals and all(refusals) else ""


def _rendered(tokenizer: Any, template: str) -> tuple[list[str], str]:
    """The texts of probe messages that the template accepts, and the last error that it raises."""
    user = {"role": "user", "content": _WORD}
    parts = {"role": "user", "content": [{"type": "text", "text": _WORD}]}
    rendered: list[str] = []
    refusal = ""
    for messages, tools in (
        ([user], None),
        ([{"role": "system", "content": "probealpha"}, user], None),
        ([parts], None),
        ([user], [PROBE_TOOL]),
    ):
        try:
            rendered.append(
                tokenizer._tokenizer.apply_chat_template(
                    messages,
                    tools=tools,
                    chat_template=template,
                    tokenize=False,
                    add_generation_prompt=True,
                    **own_variables(template, tools),
                )
            )
        except TemplateSyntaxError:
            raise
        except Exception as error:  # it refuses this message; it may accept others
            refusal = first_line(error)
    return rendered, refusal

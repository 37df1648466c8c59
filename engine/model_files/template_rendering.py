"""Renders a chat template from its text alone, as transformers does, without a tokenizer.

The environment (sandbox, trimmed blocks, `tojson`, `raise_exception`, `strftime_now`, loop controls) is that
of transformers' `chat_template_utils`. Its tag `generation` marks text and writes none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

_GENERATION = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")
_DAY = datetime(2026, 1, 1)  # any: prompts that are compared must not differ by the time


def renderer(template: str) -> Callable[..., str]:
    """A function that renders messages and tools; it raises whatever the template raises.

    Raises:
        jinja2.TemplateError: the text is no template.
    """
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = _DAY.strftime
    compiled = environment.from_string(_GENERATION.sub("", template))

    def render(messages: Any, tools: Any, add_generation_prompt: bool = True, **variables: Any) -> str:
        return compiled.render(
            messages=messages, tools=tools, add_generation_prompt=add_generation_prompt, **variables
        )

    return render


def _to_json(value: Any, **options: Any) -> str:
    return json.dumps(value, **{"ensure_ascii": False, **options})


def _raise(message: str) -> None:
    raise TemplateError(message)

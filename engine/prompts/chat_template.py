"""Which chat template a model has, and what is wrong with it; checked when the model loads.

transformers reads a tokenizer's templates from `chat_template.jinja` and `additional_chat_templates/`, else
from tokenizer_config.json. It reads `chat_template.json` only for processors, but many models that ship this
file have no other template.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import TemplateSyntaxError

from engine.model_files.errors import first_line
from engine.prompts.template_traits import PROBE_TOOL

SIDECAR = "chat_template.json"

Templates = str | dict[str, str]
"""One, or several by name; transformers takes `tool_use` where tools are offered, else `default`."""

_WORD = "probebravo"
_PLAIN = "messages are written to it as plain text (User: …)"


def template_text(tokenizer: Any) -> str:
    """The text of a tokenizer's template, or of all its templates."""
    template = getattr(tokenizer, "chat_template", None)
    if isinstance(template, dict):
        return "\n".join(str(text) for text in template.values())
    return template if isinstance(template, str) else ""


def missing_templates(folder: Path) -> Templates | None:
    """The templates that transformers would not find, to be passed to it; None if it finds them."""
    inline = _templates(_read(folder / "tokenizer_config.json"))
    files = _jinja_files(folder)
    if "default" in files or ("default" in inline and not files):
        return None
    sidecar = {} if "default" in inline else _templates(_read(folder / SIDECAR))
    found = sidecar | inline | files
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
                    messages, tools=tools, chat_template=template, tokenize=False, add_generation_prompt=True
                )
            )
        except TemplateSyntaxError:
            raise
        except Exception as error:  # it refuses this message; it may accept others
            refusal = first_line(error)
    return rendered, refusal


def _jinja_files(folder: Path) -> dict[str, str]:
    files = {path.stem: path for path in sorted((folder / "additional_chat_templates").glob("*.jinja"))}
    if (folder / "chat_template.jinja").is_file():
        files["default"] = folder / "chat_template.jinja"
    found = {}
    for name, path in files.items():
        try:
            found[name] = path.read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
    return found


def _templates(document: Any) -> dict[str, str]:
    """The templates in a JSON document's `chat_template`: a text, texts by name, or a list of named ones."""
    found = document.get("chat_template") if isinstance(document, dict) else None
    if isinstance(found, str):
        found = {"default": found}
    if isinstance(found, list):
        found = {entry.get("name"): entry.get("template") for entry in found if isinstance(entry, dict)}
    if not isinstance(found, dict):
        return {}
    return {
        name: text
        for name, text in found.items()
        if isinstance(name, str) and isinstance(text, str) and text.strip()
    }


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None

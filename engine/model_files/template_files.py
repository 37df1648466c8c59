"""The chat templates in a model folder's files, by their names; read without a tokenizer.

transformers reads a tokenizer's templates from `chat_template.jinja` and `additional_chat_templates/`, else
from tokenizer_config.json. It reads `chat_template.json` only for processors, but many models that ship this
file have no other template.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.process.json_files import read_object

SIDECAR = "chat_template.json"


@dataclass(frozen=True, slots=True)
class TemplateFiles:
    """Templates by name, such as `default` and `tool_use`, from each place."""

    jinja: dict[str, str] = field(default_factory=dict)
    inline: dict[str, str] = field(default_factory=dict)  # of tokenizer_config.json
    sidecar: dict[str, str] = field(default_factory=dict)

    @property
    def all(self) -> dict[str, str]:
        """Those that count; the sidecar's only without others."""
        sidecar = {} if "default" in self.inline else self.sidecar
        return sidecar | self.inline | self.jinja


def template_files(folder: Path) -> TemplateFiles:
    """The templates of the model in a folder; unreadable files count as having none."""
    return TemplateFiles(
        _jinja_files(folder),
        _templates(read_object(folder / "tokenizer_config.json")),
        _templates(read_object(folder / SIDECAR)),
    )


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


def _templates(document: dict[str, Any]) -> dict[str, str]:
    """The templates in a JSON document's `chat_template`: a text, texts by name, or a list of named ones."""
    found = document.get("chat_template")
    if isinstance(found, str):
        found = {"default": found}
    if isinstance(found, list):
        named = [entry for entry in found if isinstance(entry, dict) and isinstance(entry.get("name"), str)]
        found = {entry["name"]: entry.get("template") for entry in named}
    if not isinstance(found, dict):
        return {}
    return {
        name: text
        for name, text in found.items()
        if isinstance(name, str) and isinstance(text, str) and text.strip()
    }

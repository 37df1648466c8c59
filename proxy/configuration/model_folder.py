"""Is this a model that MLX can load? Answered from the folder's files alone, without mlx.

A model folder is what Hugging Face repositories hold: `config.json` with a `model_type`, and weights, which
`engine.model_files.weight_files` chooses for the engine as well.
"""

from __future__ import annotations

import re
from pathlib import Path

from proxy.configuration.file import expand_home
from proxy.configuration.settled import ConfigError

# Hugging Face: owner/name, letters, digits, dots, dashes and underscores.
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


def hub_id_or_folder(text: str, *, base: Path, user_home: Path) -> str:
    """The model as the engine takes it: an absolute folder that was checked, or a hub id.

    What begins with `/`, `~`, `.` or exists below `base` is a folder; `owner/name` is a hub id.

    Raises:
        ConfigError: a folder that is missing or is no model, or a text that is neither.
    """
    path = (base / expand_home(text, user_home)).absolute()
    try:
        if text.startswith(("/", "~", ".")) or path.exists():
            check_model_folder(path)
            return str(path)
    except OSError as error:
        raise ConfigError(f"the model folder {str(path)[:200]} cannot be read: {error.strerror}") from None
    if _HUB_ID.fullmatch(text):
        return text
    raise ConfigError(
        f'"{text}" is neither a folder here nor a hub id; '
        "name a folder, or a model such as mlx-community/Qwen3-Coder-30B-A3B-Instruct-4bit"
    )


def is_hub_id(text: str) -> bool:
    """Is this `owner/name`?"""
    return _HUB_ID.fullmatch(text) is not None


def check_model_folder(folder: Path) -> None:
    """Find what would keep the engine from loading it.

    Raises:
        ConfigError: the folder is missing, is no model, or its download is unfinished.
        OSError: it cannot be read.
    """
    if not folder.exists():
        raise ConfigError(f"the model folder {folder} does not exist")
    if not folder.is_dir():
        raise ConfigError(f"{folder} is a file; name the folder that holds the model")
    # Only where there is a folder: a screen on another server's model does not wait for it.
    from engine.model_files.description import read_config
    from engine.model_files.errors import ModelError
    from engine.model_files.weight_files import weight_choices

    names = {path.name for path in folder.iterdir()}
    if not names & {"config.json", "adapter_config.json"}:
        raise ConfigError(f"{folder} is no model: it has no config.json{_inner_hint(folder, names)}")
    try:
        read_config(folder)
        weight_choices(folder)
    except ModelError as error:
        raise ConfigError(str(error)) from None


def context_window(folder: Path) -> int:
    """The model's context window in tokens as its files state it, 0 where they do not."""
    from engine.model_files.context_window import read_window

    return read_window(folder).tokens


def _inner_hint(folder: Path, names: set[str]) -> str:
    inner = sorted(name for name in names if (folder / name / "config.json").is_file())
    return f"; did you mean {folder / inner[0]}?" if inner else ""

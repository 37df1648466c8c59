"""Which architectures the installed mlx-lm has, from its files: to import it takes seconds."""

from __future__ import annotations

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path

from engine.wire.python_text import parse_statements

_REMAPPING = "MODEL_REMAPPING"
_IMPORT = re.compile(r"^from \.(\w*) import (\w+)", re.MULTILINE)


def module_text(model_type: str) -> str | None:
    """The source of mlx-lm's module for a `model_type`; None if it has none, or mlx-lm is not installed.

    The sources of other models' modules that it imports follow: wrappers with a vision part run these.
    """
    package = _package()
    name = _remapping().get(model_type, model_type)
    if package is None or not name or name != Path(name).name:
        return None
    text = _text(package / "models" / f"{name}.py")
    if text is None:
        return None
    others = {module or imported for module, imported in _IMPORT.findall(text)}
    texts = (_text(package / "models" / f"{other}.py") or "" for other in sorted(others))
    return "\n".join([text, *(other for other in texts if "\nclass Model(" in other)])


def is_known(model_type: str) -> bool:
    """Whether mlx-lm has a module for this `model_type`."""
    return module_text(model_type) is not None


@cache
def _text(file: Path) -> str | None:
    try:
        return file.read_text("utf-8")
    except (OSError, ValueError):
        return None


@cache
def _package() -> Path | None:
    found = importlib.util.find_spec("mlx_lm")  # of a top package: it runs nothing
    return Path(found.origin).parent if found is not None and found.origin else None


@cache
def _remapping() -> dict[str, str]:
    """Types that mlx-lm runs with another type's module, as `mlx_lm.utils` lists them."""
    package = _package()
    text = _text(package / "utils.py") if package is not None else None
    for node in parse_statements(text or "").body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == _REMAPPING for target in node.targets
        ):
            try:
                found = ast.literal_eval(node.value)
            except ValueError:
                return {}
            return {str(one): str(other) for one, other in found.items()} if isinstance(found, dict) else {}
    return {}

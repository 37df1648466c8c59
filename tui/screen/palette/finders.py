"""All that the command palette looks in; each part is imported when the palette first opens."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import cast

from textual.command import Provider

PLACEHOLDER = "command, session, request, text · traces FILTER · theme, model, set …"


def _finder(module: str, name: str) -> type[Provider]:
    return cast("type[Provider]", getattr(importlib.import_module(f"tui.screen.palette.{module}"), name))


FINDERS: tuple[Callable[[], type[Provider]], ...] = tuple(
    partial(_finder, module, name)
    for module, name in (
        ("commands", "CommandProvider"),
        ("held", "SessionProvider"),
        ("held", "RequestProvider"),
        ("lists", "ListProvider"),
        ("lists", "TraceProvider"),
        ("values", "ThemeProvider"),
        ("values", "ModelProvider"),
        ("values", "SettingProvider"),
    )
)


def themes_alone() -> type[Provider]:
    """What the list of themes looks in."""
    return _finder("values", "EachTheme")

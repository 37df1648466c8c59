"""Lines that go to the terminal as a widget drew them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual._styles_cache import StylesCache
from textual.css.styles import StylesBase
from textual.geometry import Size
from textual.strip import Strip


class BareLines(StylesCache):
    """Keeps the lines of a widget that has neither border nor padding, nor is seen through.

    For each line Textual works out what of these a widget has, which takes as long as drawing the line.
    """

    def render_line(
        self,
        styles: StylesBase,
        y: int,
        size: Size,
        content_size: Size,
        padding: Any,
        base_background: Any,
        background: Any,
        render_content_line: Callable[[int], Strip],
        *more: Any,
    ) -> Strip:
        return render_content_line(y)

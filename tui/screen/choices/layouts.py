"""How the parts of a pane stand: one in front (zoom), or beside or below each other, remembered by width."""

from __future__ import annotations

from textual.app import App
from textual.widget import Widget

from tui.screen.choices.remembered import Remembered
from tui.screen.widgets.canvas import Heading
from tui.screen.widgets.key_bar import KeyBar

WIDE, NARROW = 150, 100  # columns: from the first on parts stand side by side, below the second never
_NAME = "layouts"  # in what is remembered


def width_class(columns: int) -> str:
    """The width that a layout is remembered for: 80, 120 or 200 columns."""
    return "200" if columns >= WIDE else "120" if columns >= NARROW else "80"


def is_beside(app: App[None], pane: str, columns: int, *, wide: int = WIDE, narrow: int = NARROW) -> bool:
    """Whether the parts of `pane` stand beside each other at this width.

    They do from `wide` columns on unless something else was chosen, and never with fewer than `narrow`.
    """
    if columns < narrow:
        return False
    chosen = _chosen(app).get(f"{pane} {width_class(columns)}")
    return columns >= wide if chosen is None else chosen == "beside"


def keep_layout(app: App[None], pane: str, columns: int, *, beside: bool) -> None:
    """Remember how the parts of `pane` stand at this width."""
    _of(app).keep(_NAME, _chosen(app) | {f"{pane} {width_class(columns)}": "beside" if beside else "below"})


def _of(app: App[None]) -> Remembered:
    remembered = getattr(app, "remembered", None)
    return remembered if isinstance(remembered, Remembered) else Remembered()


def _chosen(app: App[None]) -> dict[str, str]:
    chosen = _of(app).get(_NAME)
    return chosen if isinstance(chosen, dict) else {}


# -- one part in front -----------------------------------------------------------------------------------

ZOOMED, IN, OUT = "zoomed", "zoomed-in", "zoomed-out"


def toggle_zoom(container: Widget, focused: Widget | None) -> bool:
    """Show only the part of `container` that has the focus, or all parts again; False: it has one alone."""
    if container.has_class(ZOOMED):
        container.remove_class(ZOOMED)
        for part in container.query(f".{IN}, .{OUT}"):
            part.remove_class(IN, OUT)
    elif focused is not None and container in focused.ancestors and len(container.children) > 1:
        container.add_class(ZOOMED)
        _show_only(container, focused)
    else:
        return False
    return True


def follow_focus(container: Widget, focused: Widget | None) -> None:
    """Where one part is in front: bring the one to the front that has got the focus."""
    if container.has_class(ZOOMED) and focused is not None and container in focused.ancestors:
        _show_only(container, focused)


def _show_only(container: Widget, focused: Widget) -> None:
    parts = list(container.children)
    held = [part is focused or part in focused.ancestors for part in parts]
    for part, holds, next_holds in zip(parts, held, [*held[1:], False], strict=True):
        heads = next_holds and isinstance(part, Heading)
        part.set_class(holds, IN)
        part.set_class(not (holds or heads or _is_bar(part)), OUT)
        if holds and sum(one.can_focus for one in part.query("*")) > 1:  # parts of its own
            _show_only(part, focused)


def _is_bar(part: Widget) -> bool:
    return isinstance(part, KeyBar) or part.id == "crumbs"

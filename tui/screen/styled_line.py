"""A line of styled text as plain data: spans of text with style names, and functions that lay lines out.

A span is a text and the names of its styles (`tui.screen.theme_styles`), as in `("12.7k", "restored bold")`.
A line is a list of spans. The functions are pure, so that a test can read a screen without a terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tui.client.wire_text import cut, shorten, width, wrap

Span = tuple[str, str]
Line = list[Span]


def line_width(line: Line) -> int:
    """The cells that `line` takes."""
    return sum(width(text) for text, _ in line)


def plain_text(line: Line) -> str:
    """The text of `line` alone."""
    return "".join(text for text, _ in line)


def fit(line: Line, cells: int, align: str = "left", fill: str = "") -> Line:
    """`line` in exactly `cells` cells: truncated with an ellipsis, or padded opposite to `align`."""
    missing = cells - line_width(line)
    if missing < 0:
        return _truncate(line, cells)
    if missing == 0:
        return line
    pad = (" " * missing, fill)
    return [pad, *line] if align == "right" else [*line, pad]


def _truncate(line: Line, cells: int) -> Line:
    out: Line = []
    left = cells
    for index, (text, style) in enumerate(line):
        taken = width(text)
        more = plain_text(line[index + 1 :]).strip()
        if taken > left or (taken == left and more):
            # The text after this is dropped; an ellipsis replaces it unless it is blank.
            lost = more or text.strip() != cut(text, left).strip()
            out.append((shorten(text + ".", left) if lost and left else cut(text, left), style))
            break
        out.append((text, style))
        left -= taken
    missing = cells - line_width(out)
    return [*out, (" " * missing, "")] if missing > 0 else out


def spread(left: Line, right: Line, cells: int) -> Line:
    """`left` and `right` at the two ends of a line; `left` is truncated if both do not fit."""
    room = cells - line_width(right)
    if room < 8:
        return fit(left, cells)
    return [*fit(left, room - 1), (" ", ""), *right]


def joined(parts: Iterable[Line], gap: str = "   ") -> Line:
    """Lines joined by `gap`, without empty ones."""
    out: Line = []
    for part in parts:
        if part:
            out += [(gap, ""), *part] if out else part
    return out


def broken(line: Line, texts: Iterable[str]) -> list[Line]:
    """`line` in pieces as long as `texts`, which together are as long as its text."""
    out: list[Line] = []
    rest = iter(line)
    (text, style), at = next(rest, ("", "")), 0
    for part in texts:
        piece: Line = []
        missing = len(part)
        while missing > 0:
            if at == len(text):
                (text, style), at = next(rest), 0
            some = text[at : at + missing]  # by index: a copy of the rest for each line would be quadratic
            if some:
                piece.append((some, style))
            at += len(some)
            missing -= len(some)
        out.append(piece)
    return out


def wrapped(lines: Iterable[Line], cells: int) -> list[Line]:
    """`lines`, those that are wider than `cells` broken at their spaces."""
    return [part for line in lines for part in broken(line, wrap(plain_text(line), max(1, cells)))]


def wrapped_within(lines: Iterable[Line], cells: int, height: int) -> list[Line]:
    """`wrapped`, in at most `height` lines: blank ones give way, then the end to an ellipsis."""
    out = wrapped(lines, cells)
    for blank in [place for place, line in enumerate(out) if not plain_text(line).strip()][::-1]:
        if len(out) > height:
            del out[blank]
    if len(out) <= height or height < 1:
        return out
    last = out[height - 1]
    last = last if line_width(last) <= cells - 2 else fit(last, max(0, cells - 2))
    return [*out[: height - 1], [*last, (" …", "muted")]]


def joined_lines(lines: Iterable[Line]) -> Line:
    """Lines as one run of spans, with line breaks between them."""
    out: Line = []
    for number, line in enumerate(lines):
        out += [("\n", ""), *line] if number else line
    return out


def side_by_side(left: Sequence[Line], right: Sequence[Line], left_cells: int, gap: int = 3) -> list[Line]:
    """Two blocks side by side, the left one `left_cells` wide; the shorter one is padded."""
    rows = max(len(left), len(right))
    return [
        [
            *fit(left[row] if row < len(left) else [], left_cells),
            (" " * gap, ""),
            *(right[row] if row < len(right) else []),
        ]
        for row in range(rows)
    ]


def label_rows(pairs: Sequence[tuple[str, Line]], cells: int, label_cells: int = 0) -> list[Line]:
    """Rows of a label and a value; pairs with an empty value are left out."""
    label_cells = label_cells or max((width(name) for name, value in pairs if value), default=0) + 2
    return [
        [(name.ljust(label_cells), "label"), *fit(value, max(1, cells - label_cells))]
        for name, value in pairs
        if value
    ]

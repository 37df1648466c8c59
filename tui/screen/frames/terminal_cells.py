"""What the terminal shows, cell by cell, and the shortest text that makes it show something else.

Textual draws a changed line whole, with all attributes of each of its parts. Here only the cells that differ
from those on the terminal are written, and of their attributes only those that change (ECMA-48, SGR and CUP).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from unicodedata import combining

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.style import Style
from textual.strip import Strip

# A move of the cursor takes some six bytes: up to so many equal cells are written again instead.
_BRIDGE = 4
_RESET = "\x1b[0m"

Look = tuple[str, str, str]
"""Attributes, foreground and background, each as parameters of SGR; "" is the terminal's own."""
_PLAIN: Look = ("", "", "")
_ANY = "*"  # the foreground of a blank: nothing shows it, so it need not be said
_LINES = frozenset({"4", "7", "9", "21", "53"})  # attributes that show on a blank too
_ENDS = {"1": "22", "2": "22", "3": "23", "4": "24", "5": "25", "7": "27", "9": "29", "21": "24", "53": "55"}


class TerminalCells:
    """The cells of a terminal, as they were written last; those that are not known are written anew."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._text: list[list[str]] = []
        self._looks: list[list[Look | None]] = []
        self._known_looks: dict[Style | None, tuple[Look, Look]] = {}  # of characters, and of blanks
        self._blank_looks: dict[str, Look] = {}  # by background: compared by identity first
        self.forget()

    def forget(self) -> None:
        """Take all cells as unknown: something else has written on the terminal."""
        self._text = [[""] * self.width for _ in range(self.height)]
        self._looks = [[None] * self.width for _ in range(self.height)]

    def write(self, pieces: Iterable[tuple[int, int, Strip]], colours: ColorSystem) -> str:
        """The text that makes the terminal show `pieces`: column, line and content of each.

        It begins and ends with no attribute set. A piece with wide or combined characters is written whole,
        since terminals differ in how many cells those take.
        """
        out: list[str] = []
        look = _PLAIN
        for x, y, strip in pieces:
            if not (0 <= y < self.height and 0 <= x < self.width):
                continue
            cells = self._cells(strip, colours)
            if cells is None:
                if look != _PLAIN:
                    out.append(_RESET)
                    look = _PLAIN
                look = self._whole(out, x, y, strip, colours)
            else:
                look = self._changes(out, x, y, *cells, look)
        if look != _PLAIN:
            out.append(_RESET)
        return "".join(out)

    def _cells(self, strip: Strip, colours: ColorSystem) -> tuple[list[str], list[Look]] | None:
        """Characters and looks of a strip; None where not each character takes one cell."""
        text: list[str] = []
        looks: list[Look] = []
        for content, style, _ in strip:
            if (style is not None and style._link) or not text_is_narrow(content):
                return None
            text.extend(content)
            look, blank = self._look(style, colours)
            if look is blank or " " not in content:
                looks += [look] * len(content)
            elif content.isspace():
                looks += [blank] * len(content)
            else:
                looks += [blank if character == " " else look for character in content]
        return (text, looks)

    def _whole(self, out: list[str], x: int, y: int, strip: Strip, colours: ColorSystem) -> Look:
        end = min(self.width, x + strip.cell_length)
        out.append(f"\x1b[{y + 1};{x + 1}H")
        for content, style, _ in strip:
            out.append(content if style is None else Strip.render_style(style, content, colours))
        self._text[y][x:end] = [""] * (end - x)
        self._looks[y][x:end] = [None] * (end - x)
        return _PLAIN

    def _changes(
        self, out: list[str], x: int, y: int, text: list[str], looks: list[Look], look: Look
    ) -> Look:
        length = min(len(text), self.width - x)
        del text[length:], looks[length:]
        shown, shown_looks = self._text[y], self._looks[y]
        before, looks_before = shown[x : x + length], shown_looks[x : x + length]
        if before == text and looks_before == looks:
            return look
        cells = zip(text, before, looks, looks_before, strict=True)
        changed = [at for at, (new, old, one, other) in enumerate(cells) if new != old or one != other]
        for start, end in _runs(changed, looks):
            out.append(f"\x1b[{y + 1};{x + start + 1}H")
            at = start
            while at < end:
                stop, wanted = at + 1, looks[at]
                while stop < end and looks[stop] is wanted:
                    stop += 1
                if wanted[1] is _ANY:
                    wanted = _on_blanks(look, wanted[2])
                if wanted != look:
                    out.append(turned(look, wanted))
                    look = wanted
                out.append("".join(text[at:stop]))
                at = stop
        shown[x : x + length] = text
        shown_looks[x : x + length] = looks
        return look

    def _look(self, style: Style | None, colours: ColorSystem) -> tuple[Look, Look]:
        known = self._known_looks.get(style)
        if known is None:
            if len(self._known_looks) > 4096:
                self._known_looks.clear()
            look = blank = _PLAIN if style is None else look_of(style, colours)
            if not _shows_on_blanks(look):
                blank = self._blank_looks.setdefault(look[2], ("", _ANY, look[2]))
            known = self._known_looks[style] = (look, blank)
        return known


def look_of(style: Style, colours: ColorSystem) -> Look:
    """A style's attributes, foreground and background."""
    attributes = Style(
        bold=style.bold,
        dim=style.dim,
        italic=style.italic,
        underline=style.underline,
        blink=style.blink,
        reverse=style.reverse,
        strike=style.strike,
        underline2=style.underline2,
        overline=style.overline,
    )
    fore = "" if style.color is None else ";".join(style.color.downgrade(colours).get_ansi_codes())
    back = "" if style.bgcolor is None else ";".join(style.bgcolor.downgrade(colours).get_ansi_codes(False))
    return Strip.render_ansi(attributes, colours), fore, back


def _runs(changed: list[int], looks: list[Look]) -> Iterator[tuple[int, int]]:
    """The cells from and up to which is written at once, for those that changed."""
    start, end = changed[0], changed[0] + 1
    for at in changed:
        if at > end:
            last = looks[end - 1]
            # Equal cells of another look cost more than a move.
            as_last = (one == last or (one[1] is _ANY and one[2] == last[2]) for one in looks[end:at])
            if at - end > _BRIDGE or not all(as_last):
                yield start, end
                start = at
        end = at + 1
    yield start, end


def _shows_on_blanks(look: Look) -> bool:
    return not _LINES.isdisjoint(look[0].split(";"))


def _on_blanks(look: Look, back: str) -> Look:
    """The look for blanks on `back` that differs least from `look`."""
    return ("" if _shows_on_blanks(look) else look[0]), look[1], back


def turned(before: Look, after: Look) -> str:
    """The sequence that turns one look into another one."""
    if after == _PLAIN:
        return _RESET
    parts: list[str] = []
    if before[0] != after[0]:
        kept = after[0].split(";")
        ends = {_ENDS[one] for one in before[0].split(";") if one and one not in kept}
        # One code may end two attributes, of which one goes on: bold and faint.
        parts = [*sorted(ends), *([after[0]] if after[0] else [])]
    parts += [after[1] or "39"] if before[1] != after[1] else []
    parts += [after[2] or "49"] if before[2] != after[2] else []
    return f"\x1b[{';'.join(parts)}m"


_NARROW: set[str] = set()  # characters that are known to take one cell
_WIDE: set[str] = set()  # and those that take none or two


def text_is_narrow(text: str) -> bool:
    """Whether each character takes one cell."""
    if text.isascii() or _NARROW.issuperset(text):
        return True
    for character in text:
        if character not in _NARROW:
            if character in _WIDE or cell_len(character) != 1 or combining(character):
                _WIDE.add(character)
                return False
            _NARROW.add(character)
    return True

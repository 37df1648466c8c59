"""Text from outside, made safe to draw.

Prompts, tool results, file names and logs pass through the screen. An escape sequence in them would reach
the terminal, a bidirectional control would let a line lie about its order, a lone surrogate would end the
writer. What is left after `block_text` is printable characters, spaces and newlines, and the width of a text
is the sum of the widths of its characters: joiners and variation selectors are gone, about which terminals
disagree.
"""

from __future__ import annotations

import re

from rich.cells import cell_len, get_character_cell_size

_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement, modes
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS, SOS, PM, APC: titles, clipboard, links
    r"|\x1b[ -/]*[0-~]"  # the two-character ones
    r"|\x9b[0-?]*[ -/]*[@-~]"  # CSI as one C1 character
)
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and newline, DEL, C1
    "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"  # joiners, marks, bidi controls
    "\ufe00-\ufe0f\ufeff\ufff9-\ufffb"  # variation selectors, byte order mark, annotations
    "\U000e0000-\U000e01ef]"  # tags: text that only a model would see
)
_SURROGATES = re.compile("[\ud800-\udfff]")
_LINE_BREAKS = re.compile("\r\n?|\x0b|\x0c|\x85|\u2028|\u2029")
_SPACES = re.compile(r"\s+")
TAB = "    "
ELLIPSIS = "…"
_MOST_WIDTHS = 65_536  # characters whose widths are kept


class _Widths(dict[str, int]):
    """The cells of each character, looked up at half the price of the cache of Rich."""

    def __missing__(self, character: str) -> int:
        cells = get_character_cell_size(character)
        if len(self) < _MOST_WIDTHS:
            self[character] = cells
        return cells


_width_of = _Widths().__getitem__


def block_text(text: str) -> str:
    """`text` with its line breaks kept, and nothing in it that a terminal would obey."""
    if text.isprintable():
        return text
    text = _LINE_BREAKS.sub("\n", text) if not text.isascii() or "\r" in text else text
    if "\x1b" in text or "\x9b" in text:
        text = _SEQUENCES.sub("", text)
    text = _SURROGATES.sub("\ufffd", _INVISIBLE.sub("", text))
    return text.replace("\t", TAB)


def line_text(text: str, limit: int = 2000) -> str:
    """`text` on one line: each run of white space becomes one space; at most `limit` characters are read."""
    if len(text) > limit:
        text = text[:limit] + ELLIPSIS
    if text.isprintable():
        return text.strip() if "  " not in text else _SPACES.sub(" ", text).strip()
    return _SPACES.sub(" ", block_text(text)).strip()


def width(text: str) -> int:
    """How many terminal cells `text` takes."""
    return len(text) if text.isascii() else cell_len(text)


def shorten(text: str, cells: int) -> str:
    """`text` cut to at most `cells` cells, with an ellipsis where something is missing."""
    if cells <= 0:
        return ""
    if width(text) <= cells:
        return text
    return cut(text, cells - 1) + ELLIPSIS


def shorten_middle(text: str, cells: int) -> str:
    """`text` cut to `cells` cells in its middle: for paths and model names, which matter at both ends."""
    if cells <= 3 or width(text) <= cells:
        return shorten(text, cells)
    tail = (cells - 1) // 2
    return cut(text, cells - 1 - tail) + ELLIPSIS + cut(text[::-1], tail)[::-1]


def within(path: str, folder: str) -> str:
    """`path` as it is named in `folder`, if it lies there."""
    begin = folder.rstrip("/") + "/"
    return path[len(begin) :] or path if begin != "/" and path.startswith(begin) else path


def cut(text: str, cells: int) -> str:
    """The longest head of `text` that fits in `cells` cells."""
    if text.isascii():
        return text[: max(0, cells)]
    total = 0
    for index, character in enumerate(text):
        total += get_character_cell_size(character)
        if total > cells:
            return text[:index]
    return text


def wrap(text: str, cells: int, *, whole_words: bool = False) -> list[str]:
    """Break one logical line into screen lines of at most `cells` cells, at spaces where there are any.

    With `whole_words` a word that is longer than a line hangs over the edge: paths and options that somebody
    copies. The lines joined are the text: nothing of code or data is lost. A space at a break stays at the
    end of its line and may hang over the edge. A text without characters is one empty line.
    """
    cells = max(1, cells)
    if len(text) <= cells and width(text) <= cells:
        return [text]
    lines: list[str] = []
    ascii_only, start = text.isascii(), 0
    while start < len(text):
        end = start + cells if ascii_only else _end_of_cells(text, start, cells)
        if end < len(text):
            space = text.rfind(" ", start, end)
            if text[end] == " ":
                end += 1
            # A break far to the left would waste the line: long words and paths are cut where they are.
            elif space - start > (end - start) // 2 or (
                whole_words and space > start and text[start:space].strip()
            ):
                end = space + 1
            elif whole_words:
                end = text.find(" ", end) + 1 or len(text)
        lines.append(text[start:end])
        start = end
    return lines


def wrap_lines(text: str, cells: int) -> list[str]:
    """All lines of `text` in screen lines (`wrap`)."""
    cells = max(1, cells)
    lines = text.split("\n")
    fits = cells if text.isascii() else cells // 2  # so many characters, whatever they are
    found: list[str] = []
    done = 0
    for index in [index for index, line in enumerate(lines) if len(line) > fits]:
        found += lines[done:index]
        found += wrap(lines[index], cells)
        done = index + 1
    return found + lines[done:]


def _end_of_cells(text: str, start: int, cells: int) -> int:
    """Where the longest piece from `start` on ends that fits in `cells` cells; at least one character.

    It is measured in the largest pieces that fit if all their characters are wide.
    """
    end, room = start, cells
    while end < len(text):
        piece = text[end : end + max(1, room // 2)]
        room -= sum(map(_width_of, piece))
        if room < 0:
            break
        end += len(piece)
    return max(end, start + 1)


def hanging(text: str, cells: int, indent: int, *, whole_words: bool = False) -> list[str]:
    """A line of at most `cells` cells, and what does not fit below it, further in; all of it with 0 cells."""
    if not cells:
        return [text]
    head = wrap(text, cells, whole_words=whole_words)[0]
    rest = wrap(text[len(head) :], cells - indent, whole_words=whole_words)
    return [head.rstrip(), *(" " * indent + line.rstrip() for line in rest if line.strip())]

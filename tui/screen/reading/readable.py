"""A text to read at length, the language that it is in, and which view shows it.

The limits come from CPU seconds that opening the views took (docs/benchmarks.md): Textual's Markdown takes
3 ms a paragraph, 6 an item of a list and 14 a fence; a `TextArea` takes 8 ms for 1,000 characters of coloured
Python, and wraps a line in a time that grows with its square. Above the limits the project's own block view
shows the text, which takes 30 ms for 4 MB.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

import orjson

from tui.client.figures import plural
from tui.screen.reading.file_lines import FileLines, lines_read, lines_shown

View = Literal["rendered", "coloured", "numbered", "plain"]

MOST_BLOCKS = 40  # of a rendered text
MOST_COLOURED = 12_000  # characters
MOST_NUMBERED = 40_000
LONGEST_LINE = 4_000
# Of a token of Markdown, against that of a paragraph.
_WEIGHTS = {"inline": 0.0, "td_open": 0.3, "th_open": 0.3, "tr_open": 0.0, "fence": 4.5, "code_block": 4.5}

_LANGUAGES = {
    "py": "python", "pyi": "python", "md": "markdown", "markdown": "markdown", "json": "json",
    "jsonl": "json", "toml": "toml", "yml": "yaml", "yaml": "yaml", "html": "html",
    "htm": "html", "css": "css",
    "js": "javascript", "mjs": "javascript", "jsx": "javascript", "ts": "javascript", "tsx": "javascript",
    "rs": "rust", "go": "go", "sql": "sql", "java": "java", "sh": "bash", "bash": "bash", "zsh": "bash",
    "xml": "xml", "svg": "xml",
}  # fmt: skip


# A command that shows one file with numbers, and what only takes a part of that.
_SHOWS_FILE = re.compile(r"(?:^|&& )(?:cat -n|nl -ba) (['\"]?)([^\s'\"|;&<>-][^\s'\"|;&<>]*)\1(?: *\||$)")


@dataclass(frozen=True)
class Readable:
    """A text, safe to draw (`block_text`), with its name and the language that it is in ("": none).

    Of a file its first line has a number. `as_it_came` has the numbers with which it came, and `note` is what
    stood behind it, for people.
    """

    name: str
    text: str
    language: str = ""
    first_line: int = 1
    as_it_came: str = ""
    note: str = ""

    @property
    def lines(self) -> str:
        """How many lines it has, or which of a file."""
        number = self.text.count("\n")
        if self.first_line == 1:
            return plural(number + 1, "line")
        return (
            f"lines {self.first_line:,} to {self.first_line + number:,}"
            if number
            else f"line {self.first_line:,}"
        )

    @property
    def file_name(self) -> str:
        """A name for a copy of it, by which an editor knows the language."""
        suffixes = (suffix for suffix, language in _LANGUAGES.items() if language == self.language)
        return f"text.{next(suffixes, 'txt')}"

    @property
    def is_short(self) -> bool:
        """Whether Textual's text area shows it fast enough."""
        return len(self.text) <= MOST_NUMBERED and all(
            len(line) <= LONGEST_LINE for line in self.text.split("\n")
        )


def language_of(path: str) -> str:
    """The language of a file by its suffix; "": unknown."""
    return _LANGUAGES.get(PurePosixPath(path).suffix.lower().removeprefix("."), "")


def json_or_none(text: str) -> str:
    """ "json" where the text is an object or a list in JSON, else ""."""
    if text[:1] not in ("{", "[") or len(text) > MOST_COLOURED:
        return ""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return ""
    return "json"


def call_to_read(name: str, arguments: Any) -> Readable | None:
    """A call's one argument that is read at length; None: it has none, and is read as it is drawn."""
    if not isinstance(arguments, dict):
        return None
    content, path = arguments.get("content"), arguments.get("file_path")
    if isinstance(content, str) and isinstance(path, str):
        return Readable("", content, language_of(path))
    command = arguments.get("command")
    if name == "Bash" and isinstance(command, str):
        return Readable("", command, "bash")
    return None


def result_to_read(name: str, arguments: Any, text: str) -> Readable:
    """The result of a call: of a file that it shows with numbers the file, in its language."""
    given = arguments if isinstance(arguments, dict) else {}
    path, command = given.get("file_path"), given.get("command")
    if name == "Read" and isinstance(path, str) and (found := lines_read(text)):
        return _file(text, found, language_of(path))
    if name == "Bash" and isinstance(command, str) and (found := lines_shown(text)):
        shown = _SHOWS_FILE.search(command)
        return _file(text, found, language_of(shown[2]) if shown else "")
    return Readable("", text, json_or_none(text))


def _file(text: str, found: FileLines, language: str) -> Readable:
    return Readable("", found.text, language, found.first, text, found.note)


def chosen_view(readable: Readable, *, source: bool) -> tuple[View, str]:
    """The view for a text, and why it is not a better one; `source`: the reader wants it as it is."""
    if not readable.is_short:
        return "plain", "plain: long"
    if readable.language == "markdown" and not source:
        blocks = count_blocks(readable.text)
        if blocks <= MOST_BLOCKS:
            return "rendered", ""
        return _as_source(readable)[0], f"source: {blocks:,} blocks"
    return _as_source(readable)


def _as_source(readable: Readable) -> tuple[View, str]:
    if not readable.language:
        return "numbered", ""
    if len(readable.text) > MOST_COLOURED:
        return "numbered", "no colours: long"
    return "coloured", ""


def count_blocks(text: str) -> int:
    """What Textual's Markdown would take to show the text, in paragraphs."""
    from markdown_it import MarkdownIt  # Textual's own parser; not needed before a text is read

    tokens = MarkdownIt("gfm-like").parse(text)
    return round(sum(_WEIGHTS.get(token.type, 1.0) for token in tokens if token.block and token.nesting >= 0))

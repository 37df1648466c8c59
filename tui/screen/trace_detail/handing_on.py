"""A trace for other programs: the formats, their files, and the question which of them it is to be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine.process.private_files import write_private
from tui.client.wire_text import hanging, shorten
from tui.screen.keymap import bindings
from tui.screen.screens.choice_box import MOVES, ChoiceBox
from tui.screen.styled_line import Line, line_width

if TYPE_CHECKING:
    from proxy.traces.export.exporting import ExportFormat
    from proxy.traces.schema import Trace

FOLDER = "exports"  # below the state folder
_FORMATS: tuple[tuple[str, str, str, str], ...] = (
    ("jsonl", "json", "JSON", "the trace as the host has stored it"),
    ("curl", "sh", "curl", "a script that asks it again, without secrets"),
    ("html", "html", "HTML", "one page to read and to hand on"),
    ("har", "har", "HAR", "for the network tools of browsers"),
    ("otlp", "otlp.json", "OpenTelemetry", "GenAI spans as OTLP/JSON, for a collector"),
)


@dataclass(frozen=True)
class ExportChoice:
    """What was chosen: a format of `proxy.traces.export.exporting`, to the clipboard or to a file."""

    form: ExportFormat
    to: Literal["file", "clipboard"]
    suffix: str


class ExportScreen(ChoiceBox["ExportChoice | None"]):
    """Asks for a format; ends with the choice, or with nothing."""

    place = "export"
    cells = 84
    BINDINGS = [*MOVES, *bindings("export")]  # noqa: RUF012 - as Textual declares it
    title_text = "Export this trace as"

    def __init__(self, folder: Path) -> None:
        super().__init__(len(_FORMATS))
        self._folder = folder

    def action_take(self, number: int) -> None:
        """Write the file of this format."""
        self.at = number
        self.action_choose("file")

    def action_choose(self, to: Literal["file", "clipboard"]) -> None:
        """End with the format at the cursor."""
        form, suffix, _, _ = _FORMATS[self.at]
        self.dismiss(ExportChoice(form, to, suffix))  # type: ignore[arg-type]

    def lines(self, width: int) -> list[Line]:
        lines: list[Line] = []
        for place, (_, _, name, about) in enumerate(_FORMATS):
            line: Line = [*self.mark(place), (f"{name:<15}", self.look(place))]
            told = shorten(about, max(1, width - line_width(line)))
            lines.append([*line, (told, f"muted {self.click(place)}")])
        where = hanging(f" File in {self._folder}, for you alone to read", max(20, width - 2), 1)
        return [*lines, [], *([(part, "muted")] for part in where)]


def exported_text(trace: Trace, form: ExportFormat, *, token: str, url: str) -> str:
    """The trace in a format; `token` is taken out where it stands in it, `url` is that of the host."""
    from proxy.traces.export.exporting import LOCAL_HOST, export
    from proxy.traces.redaction.redact import Redactor

    pieces = export(
        [trace], form, version=version("anyclaude-tui"), redactor=Redactor((token,)), url=url or LOCAL_HOST
    )
    return "".join(pieces)


def write_export(folder: Path, trace: Trace, suffix: str, text: str) -> Path:
    """Write it to a file of its own that only the user can read.

    Raises:
        OSError: it could not be written; a file that was there before stays.
    """
    at = datetime.fromtimestamp(trace.time, UTC).strftime("%Y%m%dT%H%M%SZ")
    path = folder / f"{at}-{trace.id}.{suffix}"
    write_private(path, text.encode("utf-8", "replace"))
    return path

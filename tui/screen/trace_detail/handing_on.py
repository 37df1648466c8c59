"""A trace for other programs: the formats, their files, and the question which of them it is to be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from engine.process.private_files import write_private
from tui.client.wire_text import hanging
from tui.screen.styled_line import Line
from tui.screen.widgets.canvas import Canvas

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


class ExportScreen(ModalScreen["ExportChoice | None"]):
    """Asks for a format; ends with the choice, or with nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("enter", "choose('file')", show=False),
        Binding("y", "choose('clipboard')", show=False),
        Binding("escape,q,E,ctrl+c", "dismiss(None)", show=False),
        *(Binding(str(number), f"take({number - 1})", show=False) for number in range(1, len(_FORMATS) + 1)),
    ]

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._at = 0

    def compose(self) -> ComposeResult:
        with Vertical(id="export-box"):
            yield Canvas(self._lines)

    def on_mount(self) -> None:
        self.query_one(Canvas).styles.height = len(self._lines(70, 20))

    def action_move(self, step: int) -> None:
        """Go to the next or previous format."""
        self._at = (self._at + step) % len(_FORMATS)
        self.query_one(Canvas).paint()

    def action_take(self, number: int) -> None:
        """Write the file of this format."""
        self._at = number
        self.action_choose("file")

    def action_choose(self, to: Literal["file", "clipboard"]) -> None:
        """End with the format at the cursor."""
        form, suffix, _, _ = _FORMATS[self._at]
        self.dismiss(ExportChoice(form, to, suffix))  # type: ignore[arg-type]

    def _lines(self, width: int, height: int) -> list[Line]:
        lines: list[Line] = [[(" Export this trace as", "bold")], []]
        for place, (_, _, name, about) in enumerate(_FORMATS):
            here = place == self._at
            click = f"@screen.take({place})"
            lines.append(
                [
                    ("▌" if here else " ", "accent"),
                    (f"{place + 1}  ", f"accent {click}"),
                    (f"{name:<15}", f"{'bold ' if here else ''}{click}"),
                    (about, f"muted {click}"),
                ]
            )
        where = hanging(f" File in {self._folder}, for you alone to read", max(20, width - 2), 1)
        keys: Line = [
            (" enter", "accent @screen.choose('file')"),
            (" to a file     ", "@screen.choose('file')"),
            ("y", "accent @screen.choose('clipboard')"),
            (" to the clipboard     ", "@screen.choose('clipboard')"),
            ("esc", "accent @screen.dismiss(None)"),
            (" cancel", "@screen.dismiss(None)"),
        ]
        return [*lines, [], *([(part, "muted")] for part in where), [], keys]


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

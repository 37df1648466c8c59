"""What makes screens the same everywhere: colours, time zone, and where snapshots are kept."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

os.environ.pop("NO_COLOR", None)
os.environ.pop("TEXTUAL_THEME", None)

import pytest
import textual.app
import textual.constants
import textual.pilot
import textual.screen
from pytest_textual_snapshot import normalize_svg

from tests.tui.idle import LOOK_S, wait_until_idle

# Not by its variable: pytest has loaded Textual with a plugin by now, which has read it. Else the colours
# would be those of the terminal that the tests are started in.
textual.constants.COLOR_SYSTEM = "truecolor"  # type: ignore[misc]

SNAPSHOTS = Path(__file__).parents[2] / "snapshots"


class Picture(NamedTuple):
    """A screen: its cells as text, with their styles, and what makes an SVG of it."""

    cells: str
    svg: Callable[[], str]


class Screens:
    """The SVG snapshots in the top-level folder, named by what they show."""

    def __init__(self, update: bool, elsewhere: Path) -> None:
        self._update = update
        self._elsewhere = elsewhere
        self._other: list[Path] = []

    def compare(self, name: str, picture: Picture, *, file: Path | None = None) -> None:
        """Note whether it equals snapshots/NAME.svg, or `file`; with --snapshot-update it becomes that.

        Its last line has the digests of the cells that were drawn and of the lines before: where both are
        right, no SVG is made, which takes ten times as long as all else.
        """
        kept = file or SNAPSHOTS / f"{name}.svg"
        before = kept.read_text(encoding="utf-8") if kept.exists() else ""
        body, _, mark = before.removesuffix("\n").rpartition("\n")
        if mark == _mark(picture.cells, body):
            return
        drawn = normalize_svg(picture.svg()).rstrip()
        if self._update:
            kept.write_text(f"{drawn}\n{_mark(picture.cells, drawn)}\n", encoding="utf-8", newline="\n")
        elif body != drawn:
            other = self._elsewhere / kept.name
            other.write_text(drawn, encoding="utf-8")
            self._other.append(other)

    def verdict(self) -> None:
        """Fail if any screen looked different."""
        if self._other:
            paths = "\n  ".join(map(str, self._other))
            pytest.fail(f"not as in snapshots/; look at these, and `make snapshots` accepts them:\n  {paths}")


def _mark(cells: str, svg: str) -> str:
    digests = (hashlib.sha256(text.encode()).hexdigest()[:16] for text in (cells, svg))
    return f"<!-- cells {next(digests)} svg {next(digests)} -->"


@pytest.fixture
def screens(request: pytest.FixtureRequest, tmp_path: Path) -> Screens:
    """`screens.compare(name, picture)` for each, then `screens.verdict()`; `make snapshots` redraws them."""
    return Screens(bool(request.config.getoption("--snapshot-update")), tmp_path)


@pytest.fixture(autouse=True)
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and pauses wait for the event loop; what changed is drawn within such a wait."""
    for module in (textual.app, textual.pilot):
        monkeypatch.setattr(module, "wait_for_idle", wait_until_idle)
    monkeypatch.setattr(textual.screen, "UPDATE_PERIOD", LOOK_S / 4)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()

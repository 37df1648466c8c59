"""What makes screens the same everywhere: colours, time zone, and where snapshots are kept."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.pop("NO_COLOR", None)
os.environ.pop("TEXTUAL_THEME", None)

import pytest
import textual.constants
from pytest_textual_snapshot import normalize_svg

# Not by its variable: pytest has loaded Textual with a plugin by now, which has read it. Else the colours
# would be those of the terminal that the tests are started in.
textual.constants.COLOR_SYSTEM = "truecolor"  # type: ignore[misc]

SNAPSHOTS = Path(__file__).parents[2] / "snapshots"


class Screens:
    """The SVG snapshots in the top-level folder, named by what they show."""

    def __init__(self, update: bool, elsewhere: Path) -> None:
        self._update = update
        self._elsewhere = elsewhere
        self._other: list[Path] = []

    def compare(self, name: str, svg: str, *, file: Path | None = None) -> None:
        """Note whether `svg` equals snapshots/NAME.svg, or `file`; with --snapshot-update it becomes that."""
        kept, drawn = file or SNAPSHOTS / f"{name}.svg", normalize_svg(svg).rstrip() + "\n"
        if self._update:
            kept.write_text(drawn, encoding="utf-8", newline="\n")
        if not kept.exists() or kept.read_text(encoding="utf-8") != drawn:
            other = self._elsewhere / kept.name
            other.write_text(drawn, encoding="utf-8")
            self._other.append(other)

    def verdict(self) -> None:
        """Fail if any screen looked different."""
        if self._other:
            paths = "\n  ".join(map(str, self._other))
            pytest.fail(f"not as in snapshots/; look at these, and `make snapshots` accepts them:\n  {paths}")


@pytest.fixture
def screens(request: pytest.FixtureRequest, tmp_path: Path) -> Screens:
    """`screens.compare(name, svg)` for each, then `screens.verdict()`; `make snapshots` redraws them."""
    return Screens(bool(request.config.getoption("--snapshot-update")), tmp_path)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()

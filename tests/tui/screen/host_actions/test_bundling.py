from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest
from textual.pilot import Pilot

from tests.tui.demo.plot import BUSY
from tests.tui.pictures import settle
from tests.tui.recorded import live_app
from tests.tui.stage import drawn
from tui.client.recording.bundle import MadeBundle
from tui.client.records import Link
from tui.screen.app import ControlCenter
from tui.screen.host_actions.bundling import BundleScreen
from tui.screen.host_protocols import HostApi
from tui.screen.screens.confirm import ConfirmScreen
from tui.screen.widgets.strip_view import StripView


class Bundles:
    """Makes none, and notes what it was asked for."""

    def __init__(self, fails: OSError | None = None) -> None:
        self.asked: list[tuple[bool, str, Sequence[str]]] = []
        self._fails = fails

    async def __call__(
        self, client: HostApi | None, contents: Literal["redacted", "none"], traces: Sequence[str]
    ) -> MadeBundle:
        self.asked.append((client is not None, contents, traces))
        if self._fails is not None:
            raise self._fails
        return MadeBundle(Path("/home/ada/b[red].zip"), 214_000, ["README.txt"], ["logs: [/] elsewhere"])


def text_of(app: ControlCenter) -> str:
    lines = [line for part in app.screen.query(StripView) for line in drawn(part)]
    return " ".join(" ".join(lines).split())


async def press(app: ControlCenter, pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(app, pilot)


async def test_two_keys_on_a_pane_and_on_a_screen_over_it_make_a_bundle(tmp_path: Path) -> None:
    app, bundles = live_app(BUSY, tmp_path), Bundles()
    app.bundler = bundles
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(app, pilot)
        await press(app, pilot, "B")
        assert isinstance(app.screen, BundleScreen)
        assert "a recording of the last 15 minutes" in text_of(app)
        assert "Nothing leaves this machine" in text_of(app)
        await press(app, pilot, "enter")
        assert isinstance(app.screen, ConfirmScreen)
        assert "/home/ada/b[red].zip (214 kB)" in text_of(app)
        assert "Left out: logs: [/] elsewhere." in text_of(app)
        await press(app, pilot, "escape", "5", "enter")
        opened = app.screen.request  # type: ignore[attr-defined]
        await press(app, pilot, "B", "w", "escape")
    assert [contents for _, contents, _ in bundles.asked] == ["redacted", "none"]
    assert bundles.asked[0][2] == []  # the selected request still waits
    assert bundles.asked[-1] == (True, "none", [opened])


async def test_it_says_what_will_be_missing_and_why_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, bundles, told = live_app(BUSY, tmp_path), Bundles(OSError(28, "No space left", "/x.zip")), []
    app.bundler = bundles
    app.inbox.put(Link("reconnecting", "nothing listens there", app._clock()))
    monkeypatch.setattr(app, "notify_user", lambda text, *how: told.append(text))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(app, pilot)
        await press(app, pilot, "B")
        assert "no recording: there is no contact with the host" in text_of(app)
        await press(app, pilot, "y")
    assert bundles.asked[0][0] is False
    assert told == ["There is no bug bundle: /x.zip No space left"]

"""The part of the app that calls the user."""

from __future__ import annotations

from typing import Any

from textual.notifications import SeverityLevel

from tui.client.records import Snapshot
from tui.screen.frames.paced_app import PacedApp
from tui.screen.notifications.caller import Caller
from tui.screen.notifications.needs import needs
from tui.screen.notifications.outlets import notify_macos, outlet, sequence
from tui.screen.widgets.vital_signs import VitalSigns

_TITLES = {"warning": "! Please note", "error": "✗ Not done"}
_SETTLED_S = 5.0  # after its first state a screen has taken what was before


class CallingApp(PacedApp):
    """Calls by `notify_by`: off, bell, terminal or system (the setting `notify`)."""

    notify_by = "off"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._caller = Caller()
        self._connected_at: float | None = None

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """Show a message for a moment; one that is grave has a title, as its colour alone may not be seen."""
        title = title or _TITLES.get(severity, "")
        super().notify(message, title=title, severity=severity, timeout=timeout, markup=markup)

    def call_if_needed(self, snapshot: Snapshot, vitals: VitalSigns, now: float) -> None:
        """Call the user for what is new of what needs a person."""
        if self.notify_by == "off":
            return
        if self._connected_at is None and snapshot.host is not None:
            self._connected_at = now
        if self._connected_at is None:
            return
        found = list(needs(snapshot, vitals, now))
        if not self._caller.begun:
            self._caller.due(found, now)
            if now - self._connected_at >= _SETTLED_S:
                self._caller.begin()
            return
        for need in self._caller.due(found, now):
            how = outlet(self.notify_by)
            if how == "system":
                self.run_worker(notify_macos(need.text), name="call", group="call", exit_on_error=False)
            elif self._driver is not None and not self._driver.is_headless:
                self._driver.write(sequence(how, need.text))

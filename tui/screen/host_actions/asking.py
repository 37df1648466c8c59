"""What a person asks of host and engine from the screen: each wish is a question first, then a request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textual import on, work

from tui.client.figures import plural
from tui.client.holdings.text import done_text
from tui.client.records import LogLine, Snapshot
from tui.client.store import Store
from tui.client.wire_text import line_text
from tui.screen.choices.own_command import own_command
from tui.screen.host_actions.cache_questions import ask_drop, cannot_change, flush_choices, pinned_stays
from tui.screen.host_actions.changes import save_value
from tui.screen.host_actions.questions import (
    START_AGAIN,
    Question,
    ask_cancel,
    ask_restart,
    ask_stop,
    cannot_cancel,
    cannot_restart,
    cannot_stop,
)
from tui.screen.host_actions.wishes import ModelWanted, SettingSaveWanted, SettingsWanted
from tui.screen.host_protocols import HostApi, OwnedHost
from tui.screen.notifications.calling_app import CallingApp
from tui.screen.panes.cache import CachePane
from tui.screen.panes.health import HealthPane
from tui.screen.panes.streams import StreamsPane
from tui.screen.screens.choose import ChooseScreen
from tui.screen.screens.confirm import ConfirmScreen
from tui.screen.widgets.vital_signs import VitalSigns


class AskingApp(CallingApp):
    """The part of the control center that changes something; `host` is the one it owns, if it owns one."""

    def __init__(self, host: OwnedHost | None) -> None:
        super().__init__()
        self.store = Store()
        self._host = host
        self._stop_asked = False  # of the host, by a person
        self._awaited = ("", 0.0)  # the model that was asked for here, and the last line of the log before
        self._log_seen: tuple[LogLine, ...] = ()
        self.own_file: Path | None = None  # of the user's settings, where it is on the host's machine
        self.marked = ""  # the request that others are compared with

    def _host_api(self) -> HostApi:
        """The host's API. Raises an error for people while there is no contact."""
        raise NotImplementedError

    async def start_again(self, host: OwnedHost) -> None:
        """Start the host of this screen again, after its end."""
        raise NotImplementedError

    @on(HealthPane.RestartRequested)
    @work(name="restart", group="restart", exit_on_error=False)
    async def _restart_engine(self, event: HealthPane.RestartRequested) -> None:
        if self._host is not None and self._host.exit_code is not None:
            if await self._agreed("", lambda: START_AGAIN):
                await self.start_again(self._host)
            return
        drain, snapshot = event.drain, self.store.snapshot()
        refusal = cannot_restart(snapshot, drain=drain)
        if await self._agreed(refusal, lambda: ask_restart(snapshot, drain=drain)):
            with self._reporting("The engine was not restarted"):
                running = await self._host_api().restart_engine(drain=drain)
                waits = f"restarts after {plural(running, 'request')}" if running else "is being restarted"
                self.notify_user(f"The engine {waits}.")

    @on(HealthPane.StopRequested)
    @work(name="stop", group="stop", exclusive=True, exit_on_error=False)
    async def _stop_host(self) -> None:
        snapshot, own = self.store.snapshot(), self._host is not None
        if await self._agreed(cannot_stop(snapshot), lambda: ask_stop(snapshot, own=own)):
            with self._reporting("The host was not stopped"):
                self._stop_asked = True
                await self._host_api().stop(now=snapshot.stopping)
                when = "now" if snapshot.stopping else "after the requests that run"
                self.notify_user(f"The host ends {when}.")

    @on(StreamsPane.CancelRequested)
    @work(name="cancel", group="cancel", exclusive=True, exit_on_error=False)
    async def _cancel_request(self, event: StreamsPane.CancelRequested) -> None:
        request, snapshot = event.request, self.store.snapshot()
        if await self._agreed(cannot_cancel(request, snapshot), lambda: ask_cancel(request, snapshot)):
            with self._reporting("The request was not cancelled"):
                await self._host_api().cancel(request)

    @on(ModelWanted)
    @work(name="model", group="model", exclusive=True, exit_on_error=False)
    async def _use_model(self, event: ModelWanted) -> None:
        with self._reporting("The model was not loaded"):
            log = self.store.snapshot().log
            changed = await self._host_api().use_model(event.model)
            if not changed.restarting:
                self.notify_user(f"The engine has {changed.model} already.")
                return
            self._awaited = (changed.model, log[-1].time if log else 0.0)
            self.notify_user(f"{changed.model} is being loaded{_after(changed.running)}; Health shows it.")

    def call_if_needed(self, snapshot: Snapshot, vitals: VitalSigns, now: float) -> None:
        super().call_if_needed(snapshot, vitals, now)
        if self._awaited[0] and snapshot.log is not self._log_seen:
            self._log_seen = snapshot.log
            self._tell_refusal(snapshot.log)

    def _tell_refusal(self, log: Sequence[LogLine]) -> None:
        """Say that the model which was asked for here did not come up, once the log has it."""
        model, before = self._awaited
        for line in reversed(log):
            if line.time < before:
                return
            if line.level == "error" and line.text.startswith(f"{model} did not work"):
                self._awaited = ("", 0.0)
                self.notify_user(line.text, "error")
                return

    @on(SettingsWanted)
    @work(name="setting", group="setting", exit_on_error=False)
    async def _change_settings(self, event: SettingsWanted) -> None:
        with self._reporting("Nothing was changed"):
            changed = await self._host_api().change(event.changes)
            if not changed.changed:
                self.notify_user("It has this value already.")
            elif changed.restarting:
                self.notify_user(f"The engine restarts with it{_after(changed.running)}.")
                self._reload_settings()
                await self._host_api().settled_setting(changed.changed[0])
        self._reload_settings()

    def _reload_settings(self) -> None:
        from tui.screen.screens.live_settings import SettingsScreen

        if isinstance(self.screen, SettingsScreen):
            self.screen.reload()

    @on(SettingSaveWanted)
    @work(name="save", group="save", exit_on_error=False)
    async def _save_setting(self, event: SettingSaveWanted) -> None:
        """Write a value to the user's file once it holds: the next start must come up with it."""
        wished, file = event.setting, self.own_file
        if file is None:
            there = f"The host may be on another machine; there: {own_command('config set KEY VALUE --save')}"
            self.notify_user(there)
            return
        with self._reporting(f"{wished.key} was not written to {file}"):
            now = next((one for one in await self._host_api().settings() if one.key == wished.key), None)
            if now is not None and now.awaited:
                self.notify_user(f"{wished.key} is written to {file} once the engine is up with it.")
                now = await self._host_api().settled_setting(wished.key)
            if now is None or now.value != wished.value or not now.held:
                raise ValueError((now and now.refused) or "it was changed meanwhile")
            self.notify_user(save_value(file, now))
        self._reload_settings()

    @on(CachePane.Asked)
    @work(name="cache action", group="cache action", exclusive=True, exit_on_error=False)
    async def _change_cache(self, event: CachePane.Asked) -> None:
        action, row, held, snapshot = event.action, event.row, event.held, self.store.snapshot()
        if row is not None:
            refusal = cannot_change(action, row, held)
            if not await self._agreed(refusal, lambda: ask_drop(row, held, snapshot), asks=action == "drop"):
                return
            with self._reporting("Nothing was changed"):
                done = await self._host_api().change_cache_entry(action, row.entry.id)
                self.notify_user(f"{done_text(action, done, row.name)}.")
        elif action == "flush":
            asked = ChooseScreen("Flush the prefix cache?", flush_choices(held, snapshot), pinned_stays(held))
            if tier := await self.push_screen_wait(asked):
                with self._reporting("Nothing was flushed"):
                    done = await self._host_api().flush_cache(tier)
                    self.notify_user(f"{done_text(action, done)}.")
        self.query_one(CachePane).reload()

    async def _agreed(self, refusal: str, question: Callable[[], Question], *, asks: bool = True) -> bool:
        """Ask the user, if that is needed, unless a reason speaks against it, which is shown."""
        if refusal:
            self.notify_user(refusal, "warning")
        return not refusal and (not asks or await self.push_screen_wait(ConfirmScreen(*question())))

    @contextmanager
    def _reporting(self, failed: str) -> Iterator[None]:
        """Show an error of the host API to the user."""
        try:
            yield
        except Exception as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            self.notify_user(f"{failed}: {why}", "error")

    def notify_user(self, text: str, severity: Any = "information") -> None:
        """Show `text` for five seconds; it is never read as markup."""
        self.notify(line_text(text, 500), severity=severity, timeout=5, markup=False)


def _after(running: int) -> str:
    """What a restart waits for, as the end of a clause; empty where no request runs."""
    return f" after {plural(running, 'request')}" if running else ""

"""Status lines about a host: for a host without a screen, and while a command waits for a host."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from engine.options.kinds import printable
from proxy.configuration.destination import ENGINE_HERE, public_url
from proxy.configuration.known_backends import backend_kind
from proxy.events.types import EngineRestart, EngineState, Event, HostNotice, HostState
from tui.client.event_stream import Arrival, EventFollower
from tui.client.host_client import HostClient

SERVING = ("ready", "busy")
LOG_LINES = 8  # of the engine's log, printed with a failure
PAUSES_S = (0.1, 0.3, 1.0, 3.0)


def destination_of(state: HostState) -> str:
    """The destination of requests, as the host reports it."""
    if state.destination or backend_kind(state.backend) == "mlx":
        return printable(state.destination, 500) or ENGINE_HERE
    return public_url(state.engine.url) or state.backend  # a host of an earlier version


@dataclass(slots=True)
class Narrator:
    """Prints status lines for a host's events, without repetition, and keeps the engine's state."""

    write: Callable[[str], None]
    remark: Callable[[EngineState], str] = lambda _: ""  # a further note about a ready engine
    engine: EngineState | None = None
    was_ready: bool = False
    runs_engine: bool = True  # the host; else nothing but its user can start one
    log: list[str] = field(default_factory=list)
    _last: tuple[object, ...] = ()
    _reason: str = ""  # the last printed detail

    @property
    def failed(self) -> bool:
        return self.engine is not None and self.engine.state == "failed"

    @property
    def waits_for_user(self) -> bool:
        """Whether no engine answers, and the host starts none."""
        return not self.runs_engine and self.engine is not None and self.engine.state == "exited"

    @property
    def serving(self) -> bool:
        """Whether the model can answer now."""
        return self.engine.state in SERVING if self.engine is not None else self.was_ready

    def apply_state(self, state: HostState) -> None:
        """Apply the state that the host reports."""
        self.log = list(state.engine_log[-LOG_LINES:])
        self.runs_engine = state.runs_engine
        if backend_kind(state.backend) == "mlx":
            self._engine(state.engine)
        else:
            self.was_ready = True  # there is no engine to wait for

    def apply(self, event: Event) -> None:
        """Apply one event; types that do not concern the whole host are ignored."""
        if event.type == "engine.log":
            self.log = [*self.log, str(event.data.get("line", ""))][-LOG_LINES:]
            return
        if event.type not in ("engine.state", "engine.restart", "host.notice"):
            return
        try:
            payload = event.payload()
        except ValueError:
            return  # from a newer host
        match payload:
            case EngineState():
                self._engine(payload)
            case EngineRestart(attempt=attempt, of=of, delay_s=delay, reason=reason):
                when = f"in {delay:.0f} s" if delay else "now"
                self._reason = f"{reason}; restart {attempt} of {of} {when}"
                self.write(f"engine: {self._reason}")
            case HostNotice(level=level, text=text):
                self.write(text if level == "info" else f"{level}: {text}")

    def _engine(self, state: EngineState) -> None:
        self.engine = state
        percent = (
            None if state.progress is None or state.state != "loading" else int(state.progress * 10) * 10
        )
        status = ("serving" if state.state in SERVING else state.state, percent)
        if status == self._last:
            return
        self._last = status
        if state.state in SERVING:
            self.was_ready = True
            parts = ["ready", state.model, state.accelerated, f"at {state.url}" if state.url else ""]
            self.write(f"engine: {', '.join(part for part in parts if part)}")
            for note in filter(None, (*state.notes, self.remark(state))):
                self.write(f"engine: {note}")
        else:
            progress = f" {percent} %" if percent is not None else ""
            detail = f": {state.detail}" if state.detail and state.detail != self._reason else ""
            self._reason = state.detail
            self.write(f"engine: {state.state}{progress}{detail}")
        if state.state == "failed":
            for line in self.log:
                if line not in state.detail:  # its last line is usually the reason
                    self.write(f"  | {line}")
            if self.was_ready:
                self.write("engine: it stays stopped; clients get errors and retry until you restart it")


async def listen(client: HostClient, narrator: Narrator, changed: Callable[[], None]) -> None:
    """Follow a host until cancelled; `changed` is called after each event.

    After a lost connection it reconnects; the host's state has the changes of the meantime.
    """
    follower = EventFollower(client, pauses_s=PAUSES_S)
    async with aclosing(follower.follow()) as items:
        async for item in items:
            match item:
                case HostState():
                    follower.seq = item.seq
                    narrator.apply_state(item)
                    changed()
                case Arrival(event=Event() as event):
                    narrator.apply(event)
                    changed()
                case _:  # an event of another version, or a break: who started the host sees its end
                    pass

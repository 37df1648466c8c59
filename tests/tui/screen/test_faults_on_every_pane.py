"""State is never wrong: what every pane and the title say when anything from host to index fails.

`test_faults_shown` has the same for the bars, Health's lines and its timeline, at every width.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from proxy.events.types import ErrorInfo, HostState, Probe, RequestFailed, RequestReceived
from tests.tui.held_samples import holdings
from tests.tui.screen.test_app import Scene
from tests.tui.screen.widgets.test_vital_signs import signs_close
from tests.tui.trace_samples import SampleHost, summaries
from tests.tui.traffic import SESSIONS, Morning
from tui.client.host_client import HostError
from tui.client.inbox import Damaged
from tui.client.records import Link, LinkState
from tui.screen.app import ControlCenter

PANES = ("streams", "cache", "tools", "health", "traces")
BAR = "all"  # what stands on each pane
DIED = (529, "overloaded_error", "the engine ended in the middle of the answer (signal 9); retry in 4 s")
NO_UPSTREAM = (529, "overloaded_error", "openai cannot be reached (connection refused); please retry")
NO_KEY = (500, "authentication_error", "openai refused the proxy's key with status 401")
ASKED: dict[str, Any] = {
    "session": SESSIONS[0],
    "lane": "main",
    "model": "m",
    "backend": "openai",
    "preview": "Fix it",
}
NO_MODEL = (500, "api_error", "openai answered with a web page, not as a model's server")


class World(Morning):
    """A short morning, of whatever backend."""

    backend = "mlx"
    disk: dict[str, Any] | None = None

    def state(self) -> HostState:
        state = super().state()
        probes = [
            (event.time, Probe.model_validate(event.data))
            for event in self.events
            if event.type == "upstream.probe"
        ]
        return state.model_copy(update={"backend": self.backend, "probes": probes or state.probes})

    def worked(self) -> None:
        """The engine has come up and answered a request with a call."""
        self.start_engine()
        self.request(prompt=9_000, output=60, calls=1)
        self.engine("ready")
        self.wait(20)

    def elsewhere(self, *errors: tuple[int, str, str, str], ok: bool = True, detail: str = "") -> None:
        """Another server, its probe, and requests that it failed."""
        self.backend = "openai"
        self.emit("engine.state", state="stopped")
        for number, (status, kind, message, cause) in enumerate(errors):
            key = f"r{number}"
            self.emit("request.received", key, **RequestReceived(**ASKED).model_dump())
            error = {"type": kind, "message": message, "cause": cause}
            ended = RequestFailed(status=status, error=ErrorInfo.model_validate(error))
            self.emit("request.failed", key, **ended.model_dump())
        self.wait(1)
        self.emit("upstream.probe", ok=ok, detail=detail)
        self.wait(5)


@dataclass(frozen=True)
class Fault:
    """How it comes about, and what is to be seen of it, by pane; `never`: on no pane."""

    makes: Callable[[World], object] = World.worked
    link: tuple[LinkState, str] = ("live", "")
    host: dict[str, str] = field(default_factory=dict)  # what it refuses, by its method
    arrives: tuple[object, ...] = ()
    says: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    never: tuple[str, ...] = ()
    title: str = "anyclaude: ready"


def running(world: World) -> None:
    world.worked()
    world.engine("busy", running=1)
    world.request(prompt=12_000, output=300, until="decode")


def loading(world: World) -> None:
    world.engine("loading", progress=0.4, detail="reading weights")


def stalled(world: World) -> None:
    running(world)
    world.wait(70)
    world.engine("stalled", detail="no progress for 70 s")


def died(world: World) -> str:
    world.worked()
    key = world.request(prompt=9_500, output=100, error=DIED)
    world.engine("exited", last_exit="signal 9", detail="signal 9 (out of memory?)")
    world.wait(1)
    return key


def repeated(world: World) -> None:
    key = died(world)
    world.emit("engine.restart", attempt=1, of=5, delay_s=1.0, reason="signal 9")
    world.start_engine()
    world.request(prompt=9_500, reused=9_000, output=100, retry_of=key)
    world.engine("ready")


def failed(world: World) -> None:
    died(world)
    world.engine("failed", last_exit="exit code 1", detail="5 restarts did not help")


def stopped(world: World) -> None:
    world.worked()
    world.engine("stopped", detail="")


def unanswered(world: World) -> None:
    world.worked()
    world.probe(ok=False, detail="connection refused")


def short_of_memory(world: World) -> None:
    world.worked()
    world.engine("ready", memory=world.memory() | {"pressure": "critical"})


def unwritten(world: World) -> None:
    world.worked()
    world.emit("host.disk", free_bytes=0, traces=1, unwritten=3, refusal="No space left on device")


def unsaved(world: World) -> None:
    world.worked()
    world.engine("ready", cache=world.cache() | {"disk_paused": True})


def cancelled(world: World) -> None:
    world.worked()
    world.request(prompt=9_900, output=50, error=(499, "client_left", "the client left"))
    world.engine("ready")


def set_back(world: World) -> None:
    running(world)
    world.now -= 3600  # its clock, and with it the screen's
    world.engine("busy", running=1)


LOST = {BAR: "no contact with the host since", "traces": "as of", "health": "NO CONTACT"}

FAULTS = {
    "no host answers": Fault(
        lambda world: None, ("reconnecting", "nothing listens there"),
        says={
            "streams": "No request is known: there is no contact", "tools": "No tool call is known",
            "cache": "what the cache holds is not known", "traces": "No contact with the host since",
            "health": "No host answers: nothing listens there", BAR: "reconnecting: nothing listens there",
        },
        never=("No request yet", "No tool call yet", "Nothing is held", "● ready", "No trace yet"),
        title="anyclaude: starting",
    ),
    "contact is lost": Fault(
        World.worked, ("reconnecting", "the connection broke"),
        says=LOST | {"streams": "✓ ", "cache": "as of", "tools": "1 call"},
        never=("● ready", "READY"), title="anyclaude: no contact",
    ),
    "contact is lost while a request runs": Fault(
        running, ("reconnecting", "no answer in time"), says=LOST | {"health": "was busy"},
        never=("● busy", "BUSY"), title="anyclaude: no contact",
    ),
    "the host was killed": Fault(
        running, ("ended", "the host ended (signal 9); 4 r starts it again"),
        says={BAR: ("host ended", "signal 9"), "health": "r starts the host again", "traces": "as of"},
        never=("● busy", "BUSY"), title="anyclaude: host ended",
    ),
    "the host starts again": Fault(
        World.worked, ("starting", ""), says={"health": ("the host is started again", "of the one before")},
        never=("READY", "● ready"), title="anyclaude: starting",
    ),
    "the engine loads": Fault(
        loading,
        says={BAR: "loading 40%", "cache": "The engine is not up (loading 40%)", "health": "LOADING"},
        never=("READY", "cannot be listed"), title="anyclaude: loading 40%",
    ),
    "the engine stalls under a request": Fault(
        stalled,
        says={BAR: ("● stalled", "⚑1 engine stalled"), "streams": "● writing", "health": "no progress"},
        never=("READY", "BUSY"), title="⚑1 ▶1",
    ),
    "the engine died under a request": Fault(
        died,
        says={
            BAR: ("● exited", "✗1 of 2"), "streams": "✗ engine died", "health": "signal 9",
            "cache": "memory  ░",
        },
        never=("● ready", "↻"), title="⚑1 anyclaude: exited",
    ),
    "the engine died and the request was repeated": Fault(
        repeated, says={BAR: "✗0 of 3", "streams": ("↻", "✓"), "health": "1 by itself in 24 h"},
        never=("✗1 of",),
    ),
    "the engine failed for good": Fault(
        failed, says={BAR: ("● failed", "⚑1 engine failed"), "health": ("FAILED", "then press r")},
        never=("● ready",), title="⚑1 anyclaude: failed",
    ),
    "the engine was stopped": Fault(
        stopped, says={BAR: "● stopped", "health": ("STOPPED", "r starts it")}, never=("● ready", "⚑1"),
        title="anyclaude: stopped",
    ),
    "a probe fails": Fault(
        unanswered, says={BAR: "⚑1 probe failed", "health": "failed: connection refused"},
        title="⚑1 anyclaude: ready",
    ),
    "the machine is short of memory": Fault(
        short_of_memory, says={BAR: "⚑1", "health": "short of memory"},
        title="⚑1 anyclaude: ready",
    ),
    "the client left": Fault(
        cancelled, says={BAR: "✗0 of 2", "streams": "⊘ ", "traces": "2 in all"}, never=("✗ client",),
    ),
    "an upstream that was never reached": Fault(
        lambda world: world.elsewhere(ok=False, detail="connection refused"),
        says={
            BAR: ("openai: no upstream", "✗0 of 0"), "health": "It does not accept connections",
            "cache": "the cache is the upstream's own", "streams": "No request yet",
            "tools": "No tool call yet",
        },
        never=("● ready", "● stopped", "STOPPED"), title="⚑1 anyclaude: openai: no upstream",
    ),
    "an upstream that is gone": Fault(
        lambda world: world.elsewhere((*NO_UPSTREAM, "no upstream"), ok=False, detail="connection refused"),
        says={
            BAR: ("openai: no upstream", "✗1 of 1"), "streams": "✗ no upstream",
            "health": "no upstream  since", "cache": "openai reports no cache",
        },
        never=("overloaded_error", "STOPPED"), title="⚑1 anyclaude: openai: no upstream",
    ),
    "an upstream that refuses the key": Fault(
        lambda world: world.elsewhere((*NO_KEY, "key refused")),
        says={BAR: ("openai: key refused", "✗1 of 1"), "streams": "✗ key refused"},
        never=("authentication_error",), title="⚑1 anyclaude: openai: key refused",
    ),
    "an upstream that answers a web page": Fault(
        lambda world: world.elsewhere((*NO_MODEL, "no model there")),
        says={BAR: "openai: no model there", "streams": "✗ no model there", "health": "a web page"},
        never=("connection lost",), title="⚑1 anyclaude: openai: no model there",
    ),
    "traces cannot be written": Fault(
        unwritten,
        says={
            BAR: "⚑1 3 not recorded", "traces": "3 not recorded: No space left on device",
            "health": "3 requests not recorded: No space left",
        },
        title="⚑1 anyclaude: ready",
    ),
    "the disk refuses the cache": Fault(
        unsaved, says={BAR: "⚑1 disk full or refused", "cache": "writing is paused: the disk refuses"},
        title="⚑1 anyclaude: ready",
    ),
    "events were lost": Fault(
        lambda world: (world.worked(), world.emit("host.lost", count=12)),
        says={BAR: "lost 12 events", "health": "12 events were lost"},
    ),
    "an event cannot be read": Fault(arrives=(Damaged(),), says={BAR: "1 unreadable"}),
    "the clock was set back": Fault(
        set_back, says={BAR: "● busy", "streams": "● writing", "health": "BUSY for 0"},
        never=("-1", "READY"), title="▶1",
    ),
    "the index of traces cannot be read": Fault(
        host={"traces": "the trace index cannot be read (disk I/O error); the traces are kept"},
        says={"traces": ("could not be loaded: the trace index cannot be read", "tries again")},
        never=("No trace yet",),
    ),
    "what the cache holds cannot be read": Fault(
        host={"cache": "no answer in time"}, says={"cache": ("cannot be listed", "no answer in time")},
        never=("Nothing is held",),
    ),
}  # fmt: skip


def each(words: str | tuple[str, ...]) -> Iterable[str]:
    return (words,) if isinstance(words, str) else words


@asynccontextmanager
async def scene_of(fault: Fault, titles: list[str]) -> AsyncIterator[Scene]:
    """The screen of someone who saw the fault come; `titles` gets what the terminal was called."""
    world = World()
    fault.makes(world)
    app = ControlCenter(clock=lambda: world.now)
    app.client = host = SampleHost(summaries(world))
    host.held = holdings(world.now)
    for method, why in fault.host.items():
        setattr(host, method, refusing(why))
    app._terminal_title.show = lambda title, driver: titles.append(title)  # type: ignore[method-assign]
    if world.events:
        for arrival in (*world.arrivals(), Link("live")):
            app.inbox.put(arrival)
    async with app.run_test(size=(120, 40)) as pilot:
        it = Scene(app, pilot, world, host)
        await it.settle()
        for key in "2", "5", "1":  # what is listed was loaded before the break
            await it.press(key)
        for later in (*fault.arrives, Link(*fault.link, since=world.now)):
            app.inbox.put(later)
        world.wait(3)
        await it.settle()
        yield it


def refusing(why: str) -> Callable[..., Any]:
    async def refuse(*args: Any, **more: Any) -> None:
        raise HostError(why)

    return refuse


@pytest.mark.parametrize("name", FAULTS)
async def test_each_pane_and_the_title_say_what_is_true(name: str) -> None:
    fault, seen = FAULTS[name], ""
    titles: list[str] = []
    async with scene_of(fault, titles) as it:
        for key, pane in enumerate(PANES, 1):
            await it.press(str(key))
            text = signs_close(it.text())
            seen += text
            for words in (*each(fault.says.get(BAR, ())), *each(fault.says.get(pane, ()))):
                assert signs_close(words) in text, f"{pane}: {words!r} is not in\n{text}"
        for words in fault.never:
            assert signs_close(words) not in seen, f"{words!r} is in\n{seen}"
        assert titles[-1].startswith(fault.title), titles[-1]


def test_the_table_has_each_kind_of_fault() -> None:
    assert len(FAULTS) >= 20
    assert {pane for fault in FAULTS.values() for pane in fault.says} == {BAR, *PANES}

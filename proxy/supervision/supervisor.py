"""Keeps an engine running: starts run after run, with growing delays, up to a limit.

One task owns the process. Calls of `stop` and `restart` set flags and wake it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from proxy.events.bus import EventBus
from proxy.events.causes import RESTART_REQUESTED
from proxy.events.errors import UpstreamError, UpstreamUnavailable
from proxy.events.types import EngineRestart, EngineState, EventData, RequestFailed, RequestFinished
from proxy.supervision.engine_run import EngineRun, RunEnd
from proxy.supervision.exit import EngineExit
from proxy.supervision.gate import gate
from proxy.supervision.health import HealthProbe
from proxy.supervision.log import EngineLog
from proxy.supervision.process import EngineCommand
from proxy.supervision.restart_policy import Restart, RestartPolicy
from proxy.supervision.status import TAKES_REQUESTS, RequestTracker, StatusBoard
from proxy.supervision.watch import EngineWatch, Timing

_log = logging.getLogger("anyclaude.supervisor")

_DRAINING = "it restarts after the requests that run"
_DRAIN_RETRY_S = 10.0  # Claude Code tries ten times; answers take minutes
_LAST_LINES = 3  # lines of the log in the message after the last restart


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What the next run starts, the name of its model, and who chose it calls it."""

    command: EngineCommand
    model: str
    choice: object = None


class Supervisor:
    """The engine of this host.

    Args:
        first: the state before the start: its model, and its address if its port is fixed.
        port_holder: returns the program that uses the engine's port, or "" if unknown; called in a thread.
    """

    def __init__(
        self,
        command: EngineCommand,
        *,
        bus: EventBus,
        log: EngineLog,
        first: EngineState,
        timing: Timing | None = None,
        policy: RestartPolicy | None = None,
        port_holder: Callable[[], str] = lambda: "",
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.log = log
        self.board = StatusBoard(bus, first, clock=clock)
        self._bus = bus
        self._policy = policy or RestartPolicy()
        self._url = (
            first.url
        )  # a port of the system's choice may belong to another program after the engine's end
        self._port_holder = port_holder
        self._clock = clock
        self._probe = HealthProbe(monotonic=monotonic)
        requests = self._requests = RequestTracker(bus, monotonic=monotonic)
        bus.listen(self._drained)
        self._new_watch = partial(
            EngineWatch,
            board=self.board,
            requests=requests,
            probe=self._probe,
            timing=timing or Timing(),
            monotonic=monotonic,
        )
        self._chosen = _Chosen(command, first.model)
        self._proven: _Chosen | None = None  # the last that came up, of runs that have ended
        self._running: tuple[_Chosen, EngineRun] | None = None
        self._on_refused: Callable[[str, Any], None] = lambda reason, choice: None
        self._new_run = partial(
            EngineRun,
            board=self.board,
            log=log,
            requests=requests,
            url=self._url,
            clock=clock,
            monotonic=monotonic,
        )
        self._woken = asyncio.Event()
        self._stopping = False
        self._restart_at = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start; the board has the state."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop the engine; returns when its process has ended or cannot be ended."""
        self._stopping = True
        self._woken.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        await self._probe.close()
        self.log.close()

    def restart(self, *, drain: bool = False) -> int:
        """Restart the engine now, from any state, also from `failed`; returns how many requests it waits for.

        With `drain` these are the requests that run; new ones are told to retry meanwhile.
        """
        running = self._requests.in_flight
        if drain and running and self.board.state.state in TAKES_REQUESTS:
            self._wait_for(running)
            return running
        self.board.drain = ""
        self._policy.forget()
        self._woken.set()
        return 0

    def change(
        self,
        settings: Mapping[str, Any],
        refused: Callable[[str, Any], None],
        *,
        model: str,
        choice: object = None,
        drain: bool = False,
    ) -> int:
        """Restart the engine with other settings, as `restart`; returns how many requests it waits for.

        `model` is its name then. Where an engine does not come up with them, the last settings with which one
        did count again, and `refused` is called with the reason and the `choice` that these were given with,
        None for those of the start. They need not be the ones before: changes may follow one another faster
        than engines load.
        """
        self._chosen = _Chosen(replace(self._chosen.command, settings=settings), model, choice)
        self._on_refused = refused
        return self.restart(drain=drain)

    @property
    def holds(self) -> bool:
        """Whether an engine came up with what was chosen last."""
        ran, run = self._running or (None, None)
        came_up = ran is self._chosen and run is not None and run.came_up
        return came_up or self._chosen is self._proven

    @property
    def awaits(self) -> bool:
        """Whether it is still tried to bring an engine up with what was chosen last."""
        began = self._running is not None and self._running[0] is self._chosen
        gave_up = began and self.board.state.state in ("failed", "stopped")
        return not (self.holds or gave_up or self._stopping)

    @property
    def held_choice(self) -> Any:
        """What the newest settings that an engine came up with were chosen with; None: those of the start."""
        ran, run = self._running or (None, None)
        held = ran if run is not None and run.came_up else self._proven
        return held.choice if held is not None else None

    async def until_settled(self) -> None:
        """Wait until an engine has come up with what was chosen last, or that was taken back."""
        while self.awaits:
            await self.board.changed()

    def gate(self) -> UpstreamError | None:
        """The error for a request that arrives now; None: the engine accepts it."""
        if self.board.drain and self.board.state.state in TAKES_REQUESTS:
            return UpstreamUnavailable(
                f"the engine {self.board.drain.removeprefix('it ')}; the request can be repeated",
                retry_after_s=_DRAIN_RETRY_S,
                cause="engine restarting",
            )
        return gate(self.board.state, now=self._clock(), restart_at=self._restart_at)

    def unready(self) -> UpstreamError | None:
        """Why the engine cannot accept requests now; None if it can."""
        return self.gate()

    def _wait_for(self, running: int) -> None:
        self.board.drain = f"{_DRAINING} ({running})"
        self.board.set()

    def _drained(self, type: str, request: str | None, data: EventData) -> None:
        """Restart once no request runs any more; a listener of the bus, behind the tracker of requests."""
        ended = isinstance(data, RequestFinished | RequestFailed)
        if ended and self.board.drain and self.board.state.state in TAKES_REQUESTS:
            if running := self._requests.in_flight:
                self._wait_for(running)
            else:
                self.restart()

    async def _run(self) -> None:
        shown = self._chosen
        while not self._stopping:
            self._woken.clear()
            self.board.drain = ""
            try:
                chosen = self._chosen
                if chosen is not shown:
                    self.board.set(model=chosen.model, context_tokens=0, notes=[])
                    shown = chosen
                run = self._new_run(chosen.command, watch=self._new_watch())
                self._running = chosen, run
                end = await run.run(self._woken, on_stop=self._show_stop)
                if not self._went_back(chosen, end) and end.exit is not None:
                    await self._after(end.exit, end)
            except Exception:  # our own fault must not leave a state that looks like a running engine
                _log.exception("the supervisor failed")
                self.board.set("failed", pid=None, detail="the supervisor failed; its log has the traceback")
                await self._woken.wait()
        self.board.set(
            "stopped", pid=None, url=self._url, progress=None, detail="", running=0, queue=0,
            memory_bytes=0, cache=None, memory=None,
        )  # fmt: skip

    def _went_back(self, ran: _Chosen, end: RunEnd) -> bool:
        """Whether changed settings are taken back, as no engine came up with them."""
        changed = ran is not self._chosen  # while it ran
        # One that was asked to end before it was loaded did not fail: better than none to go back to.
        if end.healthy_s or (changed and end.exit is None and self._proven is None):
            self._proven = ran
        proven = self._proven
        if changed or proven is None or proven is ran or end.exit is None:
            return False
        self._chosen = proven
        self._policy.forget()
        self._on_refused(end.message, proven.choice)
        self.board.set("restarting", last_exit=end.message, detail=end.message)
        return True

    def _show_stop(self) -> None:
        if self._stopping:
            self.board.set("stopped", url=self._url, progress=None, detail="it is being stopped")
        else:
            self.board.set(
                "restarting",
                url=self._url,
                progress=None,
                last_exit=RESTART_REQUESTED,
                detail=RESTART_REQUESTED,
            )

    async def _after(self, exit: EngineExit, end: RunEnd) -> None:
        """Report the end, and wait until the next run may start."""
        # On macOS, which reports each process separately, this takes up to a second.
        holder = await asyncio.to_thread(self._port_holder) if exit.port_busy else ""
        if holder:
            exit = replace(exit, reason=f"{exit.reason} (it is held by {holder})")
            end = replace(end, exit=exit)
        self.board.set(
            "exited", pid=None, url=self._url, progress=None, last_exit=exit.reason, detail=end.message,
            running=0, queue=0, memory_bytes=0, cache=None, memory=None,
        )  # fmt: skip
        restart = None if exit.final else self._policy.next(end.healthy_s, at_once=exit.at_once)
        if restart is None:
            self._give_up(exit.reason, final=exit.final)
            await self._woken.wait()
        else:
            await self._pause(end.message, restart)

    async def _pause(self, reason: str, restart: Restart) -> None:
        when = f"in {restart.delay_s:g} s" if restart.delay_s else "now"
        text = f"{reason}; restart {restart.attempt} of {restart.of} {when}"
        _log.warning("%s", text)
        self._restart_at = self._clock() + restart.delay_s
        self._bus.publish(
            "engine.restart",
            EngineRestart(attempt=restart.attempt, of=restart.of, delay_s=restart.delay_s, reason=reason),
        )
        self.board.set("restarting", detail=text, restarts=self.board.state.restarts + 1)
        try:
            async with asyncio.timeout(restart.delay_s):
                await self._woken.wait()
        except TimeoutError:
            pass

    def _give_up(self, reason: str, *, final: bool) -> None:
        text = reason
        if not final:
            lines = [line for line in list(self.log.tail)[-_LAST_LINES:] if line not in reason]
            text = f"{reason}; {self._policy.attempts} restarts did not help"
            text += f". Its last log lines: {' | '.join(lines)}" if lines else ""
            text += f". Its log is {self.log.path}; fix the cause"
        _log.error("the engine failed: %s", text)
        self.board.set("failed", detail=text)

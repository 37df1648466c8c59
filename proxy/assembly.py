"""All parts of one host, put together: here and nowhere else is decided which part knows which."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from engine import bundled_model
from engine.process.blas import engine_environment
from engine.process.port_holder import port_holder
from engine.process.private_files import private_folder
from engine.process.program_code import code_hash, library_versions
from proxy.api.call_checks import checks_of
from proxy.api.host_routes import host_routes
from proxy.api.server import create_app
from proxy.backends.factory import make_backend, upstream_address
from proxy.backends.openai import OpenAIBackend
from proxy.changes.change_routes import change_routes
from proxy.changes.live_changes import LiveChanges
from proxy.configuration.destination import without_password
from proxy.configuration.settings import ENGINE_SETTINGS
from proxy.configuration.settled import HostConfig
from proxy.events.bus import EventBus
from proxy.events.errors import UpstreamError, UpstreamUnavailable
from proxy.events.metrics import Metrics
from proxy.events.totals import Totals
from proxy.events.types import (
    EngineLogLine,
    EngineState,
    EventData,
    HostNotice,
    HostState,
    Probe,
    RequestDelta,
    RequestFinished,
)
from proxy.library_loggers import DebugLevel
from proxy.record.recorder import Recorder
from proxy.record.tool_history import TOOL_HISTORY_FOLDER, ToolHistory
from proxy.supervision.external_engine import ExternalEngine
from proxy.supervision.log import EngineLog
from proxy.supervision.process import EngineCommand
from proxy.supervision.sleep_inhibitor import SleepInhibitor
from proxy.supervision.supervisor import Supervisor
from proxy.supervision.upstream_watch import UpstreamWatch
from proxy.supervision.watch import Timing
from proxy.timeline.health_keeper import HealthKeeper
from proxy.timeline.log_book import NOTICED
from proxy.timeline.log_levels import LineLevels
from proxy.traces.analysis.prices import PriceTable
from proxy.traces.files import TRACES_FOLDER, count_traces
from proxy.traces.metrics.cache_metrics import METRICS_FOLDER
from proxy.traces.metrics.host_run import HostRun
from proxy.traces.redaction.redact import Redactor
from proxy.traces.retention import Limits
from proxy.traces.writing import TraceStore

_log = logging.getLogger("anyclaude")
_stream_log = logging.getLogger("anyclaude.stream")

_LEVELS: dict[str, int] = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
ENGINE_HOST = "127.0.0.1"
LEAST_PATIENCE_S = 180.0  # without progress in work, before the engine is ended


class Host:
    """One host; made within its event loop, begun by `start` and ended by `close`.

    Args:
        url: where it listens, for those who ask.
        engine_arguments: the program to start as engine, in place of `python -m engine`.

    Raises:
        ValueError: the configuration's backend cannot be made.
    """

    def __init__(
        self,
        config: HostConfig,
        url: str,
        *,
        engine_arguments: tuple[str, ...] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.url = url
        self.started = clock()
        self._code, self._libraries = code_hash(), library_versions()  # the files may change while it runs
        self.bus = EventBus(clock=clock)
        self.totals = Totals()
        prices = PriceTable(config.prices)
        self.run = HostRun(prices, clock=clock)
        self.metrics = Metrics(
            version=program_version(), backend=config.backend_name, estimates=self.run.estimates
        )
        self.sleep = SleepInhibitor(wanted=config.keep_awake)
        self.stopping = False
        self.ended = asyncio.Event()
        """Set when `end` was asked for, and no request runs any more."""
        self._tokens_per_s = 0.0
        self.changes = LiveChanges(
            config,
            at_once={
                "trace": self._keep_traces,
                "keep_awake": self.sleep.want,
                "debug_level": DebugLevel(config.debug_level).set,
            },
            engine_settings=engine_settings,
            notice=self.notice,
        )
        self.health = HealthKeeper(
            self.bus,
            config.home,
            config.backend_name,
            started=self.started,
            clock=clock,
            keep=config.trace,
        )
        self._listen()
        self.store = TraceStore(
            config.home / TRACES_FOLDER,
            secrets=(config.token, config.backend_key, config.search_key),
            limits=Limits(days=config.trace_max_days, bytes=config.trace_max_bytes),
            metrics=config.home / METRICS_FOLDER,
            prices=prices,
            notice=self.notice,
            unwritten=self.health.unwritten,
        )
        self.recorder = Recorder(
            self.bus, self.store if config.trace else None, clock=clock, ended=self.run.ended
        )
        self.backend = make_backend(config, self._engine_url, lambda: self.changes.model)
        self.supervisor: Supervisor | None = None
        self._line_levels = LineLevels()
        self._engine: Supervisor | ExternalEngine | None = None
        self._upstream: UpstreamWatch | None = None
        if config.backend == "mlx" and config.manage_engine:
            self._engine = self.supervisor = self._make_supervisor(engine_arguments)
            self.changes.supervisor = self.supervisor
        elif config.backend == "mlx":
            self._engine = ExternalEngine(
                _joined_address(config), bus=self.bus, model=config.model, timing=engine_timing(config)
            )
        else:
            self._upstream = UpstreamWatch(upstream_address(config), self.bus, clock=clock)
        self.checks = checks_of(config, self.backend)
        self._tool_history = ToolHistory(
            config.home / TOOL_HISTORY_FOLDER, Redactor((config.token, config.backend_key))
        )
        self.app: FastAPI = create_app(
            config,
            self.backend,
            self.recorder,
            self.gate,
            version=program_version(),
            checks=self.checks,
            tool_history=self._tool_history,
        )
        self.app.include_router(host_routes(self))
        self.app.include_router(change_routes(self.changes))

    @property
    def config(self) -> HostConfig:
        """The configuration that counts now."""
        return self.changes.now

    def start(self) -> None:
        """Start the engine and bring the list of traces up to date, both in the background."""
        self.store.reconcile()
        self.health.start(self.store.index, lambda: count_traces(self.store.folder))
        self.sleep.start()
        if self._engine is not None:
            self._engine.start()
        if self._upstream is not None:
            self._upstream.start()

    def end_streams(self) -> None:
        """Let those who follow the feed go: they would delay the end of the server."""
        self.bus.close()

    async def stop_engine(self) -> None:
        """End the engine, if it is ours; its requests are answered with that."""
        if self._engine is not None:
            await self._engine.stop()

    def end(self, *, now: bool = False) -> int:
        """End the host after the requests that run, or `now`; new ones are refused from here on.

        Returns how many still run.
        """
        running = self.totals.running
        if not self.stopping and running and not now:
            text = f"stopping after the requests that run ({running}); new ones are refused"
            self.notice(text, "info", stopping=True)
        self.stopping = self.changes.closed = True
        if now or running <= 0:
            self.ended.set()
        return running

    async def close(self) -> None:
        """Return when everything is on disk and nothing is left running."""
        await self.sleep.close()
        if self._upstream is not None:
            await self._upstream.stop()
        await self.health.close()
        await self.checks.close()
        await self.backend.close()
        await self._tool_history.close()
        await self.recorder.close()
        if self.recorder.traces is None:
            await self.store.close()

    def notice(self, text: str, level: Any = "warning", *, stopping: bool = False) -> None:
        """Notify people, on screens and in the log."""
        _log.log(_LEVELS.get(level, logging.WARNING), "%s", text, extra={NOTICED: True})
        self.bus.publish("host.notice", HostNotice(level=level, text=text, stopping=stopping))

    def gate(self) -> UpstreamError | None:
        """The error for a request that arrives now; None: it may pass."""
        if self.stopping:
            words = "the host is being stopped and takes no new requests"
            return UpstreamUnavailable(words, cause="host stopped")
        return self._engine.gate() if self._engine is not None else None

    def unready(self) -> UpstreamError | None:
        """Why the engine cannot take requests now; None where it can, or where it is not watched."""
        return self._engine.unready() if self._engine is not None else None

    def engine_state(self) -> EngineState:
        """The engine as it stands; for backends that are elsewhere, that there is none."""
        if self._engine is not None:
            return self._engine.board.state
        upstream = self.backend if isinstance(self.backend, OpenAIBackend) else None
        return EngineState(
            state="stopped",
            since=self.started,
            model=upstream.model if upstream is not None else self.config.model,
            url=without_password(self.config.backend_url),
            detail=f"{self.config.backend_name} runs elsewhere and is not watched",
            context_tokens=upstream.context_tokens if upstream is not None else 0,
        )

    def state(self) -> HostState:
        """The host and its state."""
        engine = self.engine_state()
        return HostState(
            version=program_version(),
            pid=os.getpid(),
            started=self.started,
            url=self.url,
            backend=self.config.backend_name,
            model=engine.model or self.config.model,
            home=str(self.config.home),
            destination=self.config.destination,
            code=self._code,
            libraries=self._libraries,
            loads=self._loads(),
            runs_engine=self.supervisor is not None,
            seq=self.bus.seq,
            first_seq=self.bus.first_seq,
            counters=self.totals,
            engine=engine,
            probes=self._probes(),
            log=self.health.log.lines,
            disk=self.health.disk,
            engine_log=list(self.supervisor.log.tail) if self.supervisor is not None else [],
            engine_log_times=list(self.supervisor.log.tail_times) if self.supervisor is not None else [],
            sleep=self.sleep.status,
            tokens_per_s=self._tokens_per_s,
            auto_mode=self.config.auto_mode if self.config.checks_calls else "",
            stopping=self.stopping,
        )

    def _probes(self) -> list[tuple[float, Probe]]:
        if self._engine is not None:
            return list(self._engine.board.probes)
        return list(self._upstream.probes) if self._upstream is not None else []

    def _loads(self) -> list[str]:
        if self._engine is None:
            return []
        config = self.config
        named = (config.model or bundled_model.NAME, config.draft_model, config.adapter)
        return [name for name in named if name]

    def _engine_url(self) -> str:
        """Where the engine is to be asked.

        Raises:
            UpstreamError: an engine of ours does not listen now. Whoever does on its port is another program.
        """
        state = self.engine_state()
        if self.supervisor is not None and state.is_gone and (fault := self.gate()):
            raise fault
        return state.url

    def _listen(self) -> None:
        self.bus.listen(self.totals.observe)
        self.bus.listen(self.metrics.observe)
        self.bus.listen(self.sleep.observe)
        self.bus.listen(self._observe)
        self.bus.listen_to_losses(self.metrics.lost)
        self.bus.listen(self._log_deltas)

    def _observe(self, type: str, request: str | None, data: EventData) -> None:
        if isinstance(data, RequestDelta | RequestFinished) and data.tokens_per_s:
            self._tokens_per_s = data.tokens_per_s
        if self.stopping and self.totals.running <= 0:
            self.ended.set()

    def _log_deltas(self, type: str, request: str | None, data: EventData) -> None:
        if self.config.stream_logging and isinstance(data, RequestDelta):
            _stream_log.info("%s %s %r", request, data.kind, data.text)

    def _keep_traces(self, wanted: bool) -> None:
        self.recorder.traces = self.store if wanted else None
        self.health.keep = wanted

    def _tell_engine_line(self, line: str) -> None:
        self.bus.publish("engine.log", EngineLogLine(line=line, level=self._line_levels.of(line)))

    def _make_supervisor(self, arguments: tuple[str, ...] | None) -> Supervisor:
        config = self.config
        # The engine preloads the fast BLAS itself; this is only what it will find.
        _, accelerated = engine_environment(os.environ)
        # Not in the working directory: its files and folders are the user's project, not the engine's.
        command = EngineCommand(engine_settings(config), dict(os.environ), folder=_folder_apart(config.home))
        return Supervisor(
            command if arguments is None else replace(command, arguments=arguments),
            bus=self.bus,
            log=EngineLog(
                config.home / "logs" / "engine.log",
                emit=self._tell_engine_line,
                notice=self.notice,
            ),
            timing=engine_timing(config),
            first=EngineState(
                state="stopped",
                model=config.model or bundled_model.NAME,
                url=_engine_address(config.engine_port),
                accelerated=accelerated,
            ),
            port_holder=lambda: port_holder(config.engine_port),
        )


def engine_settings(config: HostConfig) -> dict[str, Any]:
    """What the engine is started with: all that a user sets of it, and what the host decides."""
    return {
        **{name: getattr(config, name) for name in ENGINE_SETTINGS},
        "host": ENGINE_HOST,
        "port": config.engine_port,
        "kv_cache_dir": str(config.kv_cache_folder.absolute()),
    }


def engine_timing(config: HostConfig) -> Timing:
    """As patient as the engine is with itself; a stalled one gets time to come back before it is ended."""
    stalled_after = config.stall_after_s
    return Timing(stalled_after=stalled_after, unresponsive_after=max(LEAST_PATIENCE_S, 3 * stalled_after))


def _folder_apart(home: Path) -> Path:
    try:
        return private_folder(home.absolute())
    except OSError:
        return Path("/")  # those who write there report that they cannot


def program_version() -> str:
    """The installed version of anyclaude-tui."""
    try:
        return version("anyclaude-tui")
    except PackageNotFoundError:
        return "unknown"


def _engine_address(port: int) -> str:
    """Where an engine on this port is found; "" for any free one, which only the engine knows."""
    return f"http://{ENGINE_HOST}:{port}" if port else ""


def _joined_address(config: HostConfig) -> str:
    address = config.backend_url.rstrip("/").removesuffix("/v1") or _engine_address(config.engine_port)
    if not address:
        raise ValueError("an engine that runs already needs its address: engine_port or backend_url")
    return address

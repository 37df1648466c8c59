"""The web server around the model's loop, from the bound socket to the exit code."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

from engine import bundled_model
from engine.answer_memory import AnswerMemory
from engine.device_name import computing_device
from engine.lifeline import announce, watch_parent
from engine.measurements import leave_trials
from engine.model_errors import first_line
from engine.model_loading import LoadedModel, ModelError, OnProgress
from engine.model_setup import attach_disk, learn_sizes, load
from engine.model_trials import noted
from engine.radix_cache import RadixPrefixCache
from engine.scheduler import Scheduler
from engine.server import Engine, create_app
from engine.settings import EngineSettings

MODEL_FAILED, INTERRUPTED = 4, 130

GRACE_S = 3  # for open answers to be told, once the end is near

log = logging.getLogger("engine")


class EngineServer(uvicorn.Server):
    """uvicorn's server, which tells its end to `on_exit` first and leaves the exit code to its caller."""

    def __init__(self, config: uvicorn.Config, on_exit: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_exit = on_exit
        self.interrupted = False

    def end(self) -> None:
        """Stop; call from any thread."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_exit()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn raises the signals once more when it is done; the exit code would be the signal's.
        def on_signal(number: int, frame: FrameType | None) -> None:
            self.interrupted = self.interrupted or number == signal.SIGINT
            self.end()

        before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(settings: EngineSettings, listener: socket.socket, *, accelerated: str, watch_stdin: bool) -> int:
    """Serve until a signal, the parent's end, or a model that cannot be loaded; returns the exit code.

    `accelerated` is what multiplies matrices where the CPU does.
    """
    device = computing_device(accelerated)
    prefix_cache = RadixPrefixCache(max_bytes=settings.prefix_cache_bytes)
    answers = AnswerMemory()

    def load_all(on_progress: OnProgress) -> LoadedModel:
        loaded = load(settings, on_progress)
        loaded = learn_sizes(prefix_cache, loaded)
        attach_disk(prefix_cache, answers, loaded, settings, device.name)
        return noted(loaded, device.fault) if device.fault else loaded

    scheduler = Scheduler(
        load_all,
        prefix_cache,
        max_queue=settings.max_queue,
        max_batch=settings.max_batch,
        stall_after_s=settings.stall_after_s,
    )
    engine = Engine(
        scheduler,
        settings.model or bundled_model.NAME,
        accelerated=device.name,
        tool_format=settings.tool_format,
        grammar=settings.grammar,
        loop_tokens=settings.loop_tokens,
        answers=answers,
    )
    config = uvicorn.Config(
        create_app(engine, bound_host=settings.host),
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE_S,
    )
    server = EngineServer(config, lambda: engine.running.abort_all("the engine is shutting down"))
    failed = threading.Event()
    scheduler.start()
    if watch_stdin:
        watch_parent(server.end)
    host, port = listener.getsockname()[:2]
    announce(listening=f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
    log.info("listening on %s:%d; matrix products by %s", host, port, device.name)
    _watch_loading(engine, server, failed)
    server.run(sockets=[listener])
    leave_trials()
    engine.close()
    scheduler.stop(GRACE_S if scheduler.loaded is not None else 0)  # loading cannot be interrupted
    prefix_cache.close()
    sys.stderr.flush()
    return MODEL_FAILED if failed.is_set() else INTERRUPTED if server.interrupted else 0


def _watch_loading(engine: Engine, server: EngineServer, failed: threading.Event) -> None:
    """Tell when the model is there; end the server if it will not come."""

    def fail(reason: str) -> None:
        # Announced too: what libraries write to stderr while the process ends may come after our last line.
        announce(error=reason, exit_code=MODEL_FAILED)
        failed.set()
        server.end()

    def wait() -> None:
        try:
            loaded = engine.scheduler.wait_until_loaded()
        except ModelError as error:
            sys.stderr.write(f"{error}\n")  # in one piece: the log writes there too
            sys.stderr.flush()
            fail(str(error))
            return
        except Exception as error:
            if server.should_exit:
                return
            log.exception("the model could not be loaded: %s", error)
            fail(f"the model could not be loaded: {first_line(error)}")
            return
        engine.warm_up()
        log.info("%s is loaded; %d tokens of context", loaded.name, loaded.context_length)

    threading.Thread(target=wait, name="loading", daemon=True).start()

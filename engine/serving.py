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
from engine.api.app import create_app
from engine.api.engine import Engine
from engine.memory.guard import MemoryGuard
from engine.memory.machine import this_machine
from engine.model_files.errors import first_line
from engine.models.device_name import computing_device
from engine.models.loading import LoadedModel, ModelError, OnProgress
from engine.prefix_cache.cache import RadixPrefixCache
from engine.process.device_faults import DeviceRefuses, device_fault, in_words
from engine.process.exit_codes import ExitCode
from engine.process.parent_watch import announce, watch_parent
from engine.prompts.answer_memory import AnswerMemory
from engine.scheduling.scheduler import Scheduler
from engine.settings import EngineSettings
from engine.startup import attach_disk, fitting, known_traits, learn_sizes, load
from engine.trials.models import noted
from engine.trials.trial import cancel_trials

GRACE_S = 3  # for open answers to get their error before the end
CHUNK_S = 5  # for the model's thread to finish its chunk: what ends with work on the GPU may harm the system
ENDS_WITHIN_S = 9  # after the parent's end, whatever is waited for then

log = logging.getLogger("engine")


class EngineServer(uvicorn.Server):
    """uvicorn's server, which calls `on_exit` before it ends and leaves the exit code to its caller."""

    def __init__(self, config: uvicorn.Config, on_exit: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_exit = on_exit
        self.interrupted = False
        self.fault = 0
        """The exit code of what ended it from inside, if anything did."""

    def end(self) -> None:
        """Stop; call from any thread."""
        self.should_exit = True

    def fail(self, message: str, code: int) -> None:
        """Stop for a fault: report it to the parent and in the log; call from any thread.

        To both: what libraries write to stderr while the process ends may come after our last line.
        """
        sys.stderr.write(f"{message}\n")  # in one piece: the log writes there too
        sys.stderr.flush()
        announce(error=message, exit_code=code)
        self.fault = code
        self.end()

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
    """Serve until a signal, the parent's end, or a model that cannot be loaded or runs no more.

    `accelerated` is what multiplies matrices where the CPU does. Returns the exit code. Nothing is under way
    on the GPU then, unless it hangs.
    """
    device = computing_device(accelerated)
    prefix_cache = RadixPrefixCache(max_bytes=settings.prefix_cache_bytes)
    memory = MemoryGuard(
        prefix_cache, this_machine(), asked=settings.memory_limit_bytes, wired=settings.wired
    )
    answers = AnswerMemory()

    def load_all(on_progress: OnProgress) -> LoadedModel:
        loaded = load(settings, on_progress, memory.check_weights)
        loaded = learn_sizes(prefix_cache, loaded)
        loaded = fitting(memory, loaded)
        attach_disk(prefix_cache, answers, loaded, settings, device.name)
        return noted(loaded, device.fault) if device.fault else loaded

    scheduler = Scheduler(
        load_all,
        prefix_cache,
        max_queue=settings.max_queue,
        max_batch=settings.max_batch,
        stall_after_s=settings.stall_after_s,
        memory=memory,
    )
    engine = Engine(
        scheduler,
        settings.model or bundled_model.NAME,
        accelerated=device.name,
        tool_format=settings.tool_format,
        thinking_format=settings.thinking_format,
        grammar=settings.grammar,
        loop_tokens=settings.loop_tokens,
        answers=answers,
        cache=prefix_cache.control,
        traits=known_traits(settings),
    )
    config = uvicorn.Config(
        create_app(engine, bound_host=settings.host),
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE_S,
    )

    def on_exit() -> None:
        failure = scheduler.failure
        engine.running.abort_all(
            f"{failure}; try again in a moment" if failure else "the engine is shutting down"
        )
        scheduler.end_soon()

    server = EngineServer(config, on_exit)
    with server.capture_signals():  # before the server does: the model is loaded and tried beside its start
        scheduler.start()
        if watch_stdin:
            watch_parent(server.end, grace_s=ENDS_WITHIN_S)
        host, port = listener.getsockname()[:2]
        announce(listening=f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
        log.info("listening on %s:%d; matrix products by %s", host, port, device.name)
        _watch_loading(engine, server, memory)
        server.run(sockets=[listener])
    cancel_trials()
    engine.close()
    scheduler.stop(CHUNK_S if scheduler.loaded is not None else 0)  # loading cannot be interrupted
    prefix_cache.close()
    sys.stderr.flush()
    return server.fault or (ExitCode.INTERRUPTED if server.interrupted else 0)


def _watch_loading(engine: Engine, server: EngineServer, memory: MemoryGuard) -> None:
    """Tell when the model is there; end the server if it will not come, or when it runs no more."""

    def wait() -> None:
        try:
            loaded = engine.scheduler.wait_until_loaded()
        except ModelError as error:
            server.fail(str(error), ExitCode.ENGINE_FAILED)
            return
        except Exception as error:
            if server.should_exit:
                return
            if refused := _refused(error):
                server.fail(refused, ExitCode.GPU_REFUSED)
                return
            log.exception("the model could not be loaded: %s", error)
            server.fail(f"the model could not be loaded: {first_line(error)}", ExitCode.ENGINE_FAILED)
            return
        engine.warm_up()
        log.info(
            "%s is loaded; %d tokens of context; %s", loaded.name, loaded.context_length, memory.in_words
        )
        engine.scheduler.wait_until_ended()
        failure = engine.scheduler.failure
        if refused := _refused(failure):
            server.fail(refused, ExitCode.GPU_REFUSED)
        elif failure is not None:
            server.fail(f"the model's loop failed ({type(failure).__name__}: {failure})", ExitCode.FAILED)

    threading.Thread(target=wait, name="loading", daemon=True).start()


def _refused(failure: Exception | None) -> str:
    """In words that the GPU works for this process no more; empty for all other faults.

    That memory is short while the model is loaded is none: it would be short for the next process as well.
    """
    if isinstance(failure, DeviceRefuses):
        return str(failure)
    kind = device_fault(failure) if failure is not None else None
    return "" if failure is None or kind in (None, "memory") else in_words(kind, failure)

"""`anyclaude-tui --no-ui`: the proxy in this process, in the foreground, with a log on stderr."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from urllib.parse import urlsplit

import uvloop

from engine import bundled_model
from engine.process.descriptors import raise_descriptor_limit
from engine.process.garbage_collection import collection_held
from engine.process.parent_watch import end_within
from proxy.configuration.settled import HostConfig
from proxy.events.types import EngineState
from proxy.library_loggers import quiet_libraries
from proxy.supervision.task_end import end_tasks
from tui.client.host_client import HostClient
from tui.commands.claude_window import window_notice
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, local_url, say
from tui.commands.narration import Narrator, listen
from tui.commands.port_check import check_ports
from tui.commands.program_name import claude_command

LAST_S = 20.0  # limit for open answers, the engine and the traces after a stop signal


def run_headless(invocation: Invocation) -> int:
    """Serve until a signal; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError: the configuration is wrong.
        CommandFailed: a port is busy, or the engine cannot start.
    """
    settled = invocation.settle()
    config = settled.config
    check_ports(config)
    for line in settled.account:
        say(line)
    raise_descriptor_limit()
    logging.basicConfig(
        level=logging.DEBUG if config.debug_level > 0 else logging.WARNING,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    quiet_libraries()
    if config.debug_level == 0:
        logging.getLogger("anyclaude.supervisor").disabled = True  # the narration has the same lines
    return int(uvloop.run(_Foreground(config).run()))


def _small_window(engine: EngineState) -> str:
    """The notice about a small window for Claude Code; empty if the window is large enough."""
    return window_notice(engine.context_tokens, {}, setting="") if engine.context_tokens else ""


class _Foreground:
    """One host in this process, from its start to its end."""

    def __init__(self, config: HostConfig) -> None:
        self.config = config
        self.narrator = Narrator(say, _small_window)
        self.stop = asyncio.Event()
        self.code = ExitCode.FINE
        self.reason = ""  # why the engine cannot start
        self.client: HostClient | None = None
        self.listening: asyncio.Task[None] | None = None
        self.report: list[str] = []

    async def run(self) -> int:
        """Serve until a signal. Raises: CommandFailed: the engine cannot start."""
        with collection_held():
            from proxy.host import serve  # the web server: imported only after the checks

        self._handle_signals()
        try:
            served = await serve(self.config, ready=self._ready, stop=self.stop, report=self.report.extend)
        finally:
            await self._close()
        for line in self.report:
            say(line)
        if self.code == ExitCode.ENGINE_FAILED:
            raise CommandFailed(self.code, self.reason)
        return int(self.code or served)

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupted)
        loop.add_signal_handler(signal.SIGTERM, self._end, ExitCode.FINE)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
            loop.add_signal_handler(signal.SIGHUP, self._end, ExitCode.FINE)

    def _interrupted(self) -> None:
        if self.stop.is_set():
            say("stopped without waiting for open answers")
            os._exit(ExitCode.INTERRUPTED)  # the engine's parent watch stops it
        say("stopping; press ctrl+c again to skip waiting for open answers")
        self._end(ExitCode.INTERRUPTED)

    def _end(self, code: ExitCode) -> None:
        self.code = code
        self.stop.set()
        end_within(LAST_S, code)

    def _ready(self, url: str) -> None:
        config = self.config
        port = urlsplit(url).port or config.port
        say(f"proxy: listening on {url}, backend {config.backend_name}, state in {config.home}")
        say(f"Claude Code on it: {claude_command(port, os.environ, home=config.home)}")
        if config.backend == "mlx" and not config.model:
            say(f"model: the {bundled_model.NAME}, which is very small: {bundled_model.CHOOSE}")
        self.client = HostClient(local_url(config.host, port), config.token)
        self.listening = asyncio.create_task(listen(self.client, self.narrator, self._engine_changed))

    def _engine_changed(self) -> None:
        if self.narrator.failed and not self.narrator.was_ready and not self.stop.is_set():
            model = f" with {self.config.model}" if self.config.model else ""
            detail = self.narrator.engine.detail if self.narrator.engine else ""
            self.reason = f"the engine cannot start{model}" + (f": {detail}" if detail else "")
            self._end(ExitCode.ENGINE_FAILED)

    async def _close(self) -> None:
        if self.listening is not None:
            await end_tasks(self.listening)
        if self.client is not None:
            await self.client.close()

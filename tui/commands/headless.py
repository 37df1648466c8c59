"""`anyclaude-tui --no-ui`: the proxy in this process, in the foreground, telling on stderr what it does."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress

from proxy.config import HostConfig
from proxy.config_settling import Settled
from tui.commands.exit_codes import ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.narration import Narrator, listen
from tui.commands.port_check import check_ports
from tui.host_client import HostClient


def run_headless(invocation: Invocation) -> int:
    """Serve until a signal; returns the exit code.

    Raises:
        proxy.config.ConfigError: the configuration is wrong.
        tui.commands.exit_codes.CommandFailed: a port is busy.
    """
    settled = invocation.settle()
    check_ports(settled.config)
    if settled.file:
        say(f"configuration: {settled.file}")
    return asyncio.run(_serve(settled))


async def _serve(settled: Settled) -> int:
    from proxy.host import serve  # the web server: only once it is known that there is something to serve

    stop = asyncio.Event()
    code = ExitCode.FINE
    narrator = Narrator(say)
    listening: asyncio.Task[None] | None = None
    client: HostClient | None = None

    def end(with_code: ExitCode) -> None:
        nonlocal code
        code = with_code
        stop.set()

    def changed() -> None:
        if narrator.failed and not narrator.was_ready and not stop.is_set():
            say("the engine cannot start, so this host ends; its log is in the state folder")
            end(ExitCode.ENGINE_FAILED)

    def ready(url: str) -> None:
        nonlocal client, listening
        _introduce(settled.config, url)
        client = HostClient(url, settled.config.token)
        listening = asyncio.create_task(listen(client, narrator, changed))

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, end, ExitCode.INTERRUPTED)
    loop.add_signal_handler(signal.SIGTERM, end, ExitCode.FINE)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        loop.add_signal_handler(signal.SIGHUP, end, ExitCode.FINE)
    try:
        served = await serve(settled.config, ready=ready, stop=stop)
    finally:
        if listening is not None:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
        if client is not None:
            await client.close()
    return int(code or served)


def _introduce(config: HostConfig, url: str) -> None:
    say(f"proxy: listening on {url}, backend {config.backend_name}, state in {config.home}")
    port = f" --port {url.rsplit(':', 1)[-1]}" if not url.endswith(":8082") else ""
    say(f'Claude Code on it: anyclaude-tui{port} claude   or: eval "$(anyclaude-tui{port} env)" && claude')
    if config.backend == "mlx" and not config.model:
        say("model: the demo model, whose weights are random: it talks nonsense. Choose one with --model")

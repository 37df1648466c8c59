"""`python -m proxy`: one host as a child process.

Its settings (`proxy.configuration.settled.HostConfig`) are one JSON line on stdin; it ends when that pipe
closes, and reports on stdout where it listens, or why it cannot, and when it ends what its requests came to.
With `--detached` it goes on when the pipe closes. Exit codes: 0 ended, 2 wrong settings, 3 port busy,
130 interrupted.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from functools import partial

import uvloop
from pydantic import ValidationError

from engine.process.descriptors import raise_descriptor_limit
from engine.process.exit_codes import ExitCode
from engine.process.garbage_collection import collection_held
from engine.process.parent_watch import announce, end_within, fail, read_settings, watch_parent
from proxy.configuration.settled import HostConfig
from proxy.lean_libraries import leave_out_httpx_command
from proxy.library_loggers import quiet_libraries

_log = logging.getLogger("anyclaude")

DETACHED = "--detached"
LAST_S = 20.0  # for the engine and the traces, after a signal or when the parent is gone


def main() -> int:
    """Run a host until its parent ends it; returns the exit code."""
    raise_descriptor_limit()
    if sys.stdin is None or sys.stdin.isatty():
        return fail(
            "python -m proxy reads its settings as one JSON line on stdin; see anyclaude-tui --no-ui",
            ExitCode.USAGE,
        )
    try:
        config = HostConfig.from_values(read_settings())
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        return fail(f"setting {'.'.join(map(str, fault['loc']))}: {fault['msg']}", ExitCode.USAGE)
    except ValueError as error:
        return fail(str(error), ExitCode.USAGE)
    logging.basicConfig(
        level=logging.DEBUG if config.debug_level > 0 else logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    quiet_libraries()
    code: int = uvloop.run(_serve(config))
    return code


async def _serve(config: HostConfig) -> int:
    leave_out_httpx_command()
    # Only now: wrong settings are reported at once.
    with collection_held():
        from proxy.host import serve

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    codes = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.FINE}
    ended_with: list[int] = []

    def end(code: int) -> None:
        ended_with.append(code)
        stop.set()
        end_within(LAST_S, code)

    for number, code in codes.items():
        loop.add_signal_handler(number, end, code)
    if DETACHED not in sys.argv[1:]:
        watch_parent(partial(loop.call_soon_threadsafe, stop.set), grace_s=LAST_S)  # type: ignore[arg-type]
    reasons: list[str] = []
    served = await serve(config, ready=_listening, stop=stop, failed=reasons.append, report=_report)
    if reasons:
        return fail(reasons[0], served)
    return ended_with[0] if ended_with else served


def _report(lines: list[str]) -> None:
    for line in lines:
        _log.info("%s", line)
    try:
        announce(report=lines)
    except OSError:  # the parent is gone; else the interpreter's last flush fails too
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _listening(url: str) -> None:
    announce(listening=url)
    if DETACHED in sys.argv[1:]:  # who started it leaves now, and with it the pipe's other end
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())

"""Explains why an engine process ended, and whether a restart can help."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from engine.process.exit_codes import ExitCode

_LONGEST_MESSAGE = 500  # characters of its own message; the log has the rest
_GUESSES = {
    signal.SIGKILL: "out of memory?",
    signal.SIGSEGV: "a fault in native code",
    signal.SIGBUS: "a fault in native code",
    signal.SIGABRT: "a fault in native code, such as a Metal error",
    signal.SIGILL: "a library built for another processor?",
    signal.SIGTERM: "another program ended it",
}


@dataclass(frozen=True, slots=True)
class EngineExit:
    """The end of one engine process.

    `final`: the next start would end in the same way, because of a wrong setting, a missing model, or a
    port that another program uses. `at_once`: a new process is enough, because the
    system refuses this one the GPU.
    """

    reason: str
    final: bool = False
    port_busy: bool = False
    at_once: bool = False


def explain_exit(code: int, *, announced: str, last_line: str, was_ready: bool) -> EngineExit:
    """Explain an exit.

    Args:
        code: as `asyncio` gives it, negative for a signal.
        announced: the error that the process reported on stdout, or "".
        last_line: the last line of its log, used if nothing was announced.
        was_ready: whether it was ready before it ended; then its settings are right.
    """
    if code in (ExitCode.USAGE, ExitCode.PORT_BUSY, ExitCode.ENGINE_FAILED) and not was_ready:
        reason = _brief(announced or last_line) or f"engine exited with code {code}"
        return EngineExit(reason, final=True, port_busy=code == ExitCode.PORT_BUSY)
    if code == ExitCode.GPU_REFUSED:
        return EngineExit(_brief(announced or last_line) or "the GPU refused further work", at_once=True)
    number = -code if code < 0 else code - 128  # a shell between host and engine adds 128
    if code < 0 or number in set(signal.Signals):
        guess = _GUESSES.get(signal.Signals(number)) if number in set(signal.Signals) else None
        return EngineExit(f"engine exited with signal {number}" + (f" ({guess})" if guess else ""))
    if code == 0:
        return EngineExit("engine ended by itself")
    why = _brief(announced or last_line)
    return EngineExit(f"engine exited with code {code}" + (f": {why}" if why else ""))


def _brief(message: str) -> str:
    """The message as one line, short enough for screens and error responses."""
    line = message.strip().rpartition("\r")[2]  # a progress bar redraws itself; its last state counts
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]} [… more in its log]"

"""Why an engine process ended, in words, and whether starting it again could help."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from engine.process.exit_codes import ExitCode

_LONGEST_WORDS = 500  # characters of its own words; the log has the rest
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

    `final` means that the next start would end in the same way: a wrong setting, a missing model, a port
    that somebody else holds. `at_once` means that nothing but a new process is needed: the system lets this
    one do no more work on the GPU.
    """

    reason: str
    final: bool = False
    port_busy: bool = False
    at_once: bool = False


def explain_exit(code: int, *, announced: str, last_line: str, was_ready: bool) -> EngineExit:
    """Put an exit in words.

    Args:
        code: as `asyncio` gives it, negative for a signal.
        announced: the error that the process told on stdout, if it did.
        last_line: of its log; stands in where nothing was announced.
        was_ready: whether it had come up before it ended; what was right once is no wrong setting.
    """
    if code in (ExitCode.USAGE, ExitCode.PORT_BUSY, ExitCode.ENGINE_FAILED) and not was_ready:
        reason = _brief(announced or last_line) or f"engine exited with code {code}"
        return EngineExit(reason, final=True, port_busy=code == ExitCode.PORT_BUSY)
    if code == ExitCode.GPU_REFUSED:
        return EngineExit(_brief(announced or last_line) or "the GPU refused further work", at_once=True)
    number = -code if code < 0 else code - 128  # a shell between us and the engine adds 128
    if code < 0 or number in set(signal.Signals):
        guess = _GUESSES.get(signal.Signals(number)) if number in set(signal.Signals) else None
        return EngineExit(f"engine exited with signal {number}" + (f" ({guess})" if guess else ""))
    if code == 0:
        return EngineExit("engine ended by itself")
    why = _brief(announced or last_line)
    return EngineExit(f"engine exited with code {code}" + (f": {why}" if why else ""))


def _brief(words: str) -> str:
    """Its own words as one line that each screen and each refused request can bear."""
    line = words.strip().rpartition("\r")[2]  # a progress bar redraws itself; what it shows last counts
    return line if len(line) <= _LONGEST_WORDS else f"{line[:_LONGEST_WORDS]} [… more in its log]"

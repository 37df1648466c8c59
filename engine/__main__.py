"""`python -m engine`: one engine process.

Started by a parent it reads its settings as one JSON line on stdin and ends when stdin closes; started by
hand it takes options. Exit codes: 0 ended, 1 a fault of the engine itself, 2 wrong settings, 3 port busy,
4 the model cannot be loaded, 5 the GPU refused further work, 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from engine.process.blas import engine_environment
from engine.process.descriptors import limits_kept, raise_descriptor_limit
from engine.process.exit_codes import ExitCode
from engine.process.garbage_collection import collection_held
from engine.process.gpu_watchdog import relaxed_watchdog
from engine.process.install_check import refusal_here
from engine.process.listening import CannotListen, bind
from engine.process.parent_watch import fail, read_settings
from engine.process.transformers_index import keep_transformers_index
from engine.settings import EngineSettings, SettingsError, settings_from, settings_from_options

_RESTARTED = "ANYCLAUDE_ENGINE_ACCELERATED"  # what the process that we were before this one found
_QUIET = {
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "USE_TORCH": "0",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the engine until it ends; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if refusal := refusal_here():
        return fail(refusal, ExitCode.USAGE)
    raise_descriptor_limit()
    accelerated = _accelerate()
    os.environ.update({name: value for name, value in _QUIET.items() if name not in os.environ})
    logging.getLogger("engine").setLevel(logging.INFO)
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        settings = _settings(arguments)
    except SettingsError as error:
        return fail(str(error), ExitCode.USAGE)
    except ValueError as error:
        return fail(f"{error}; write one JSON line to stdin, or see python -m engine --help", ExitCode.USAGE)
    if settings.relax_gpu_watchdog:
        added, report = relaxed_watchdog(os.environ)
        os.environ.update(added)
        logging.getLogger("engine").info(report)
    if not settings.model or Path(settings.model).expanduser().is_dir():
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # all is here: nothing is to be asked of the hub
    try:
        listener = bind(settings.host, settings.port)
    except CannotListen as error:
        said = f"the engine cannot listen on {error.address}: {error.reason}"
        return fail(f"{said}; end what listens there or choose another port", ExitCode.PORT_BUSY)
    keep_transformers_index()
    # Only now: this imports MLX, and wrong settings should be reported at once.
    with limits_kept(), collection_held():
        from engine.serving import serve

    return serve(settings, listener, accelerated=accelerated, watch_stdin=not arguments)


def _accelerate() -> str:
    """Start this process over with the fast BLAS preloaded, where there is one; returns its name."""
    found = os.environ.pop(_RESTARTED, None)
    environment, accelerated = engine_environment(os.environ)
    if found is not None:
        return found
    if environment.get("LD_PRELOAD") != os.environ.get("LD_PRELOAD"):
        os.execve(sys.executable, sys.orig_argv, environment | {_RESTARTED: accelerated})
    return accelerated


def _settings(arguments: list[str]) -> EngineSettings:
    if arguments:
        return settings_from_options(arguments)
    if sys.stdin.isatty():
        raise SettingsError("no settings: give --model PATH_OR_ID, or see python -m engine --help")
    settings, warnings = settings_from(read_settings())
    for warning in warnings:
        logging.getLogger("engine").warning(warning)
    return settings


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: MLX's own threads may outlive the interpreter, and then end the process with an abort.
    os._exit(code)

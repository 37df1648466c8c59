"""Checks, before a model is loaded, that it fits into memory beside a running host.

Two processes with a model each make a Mac swap; with wired memory they have frozen it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import psutil

from engine import bundled_model
from engine.model_files.errors import ModelError
from engine.model_files.weight_files import weight_choices
from engine.process.port_owner import is_another_users
from proxy.configuration.known_backends import backend_kind
from proxy.configuration.model_folder import is_hub_id
from proxy.configuration.settling import Settled
from proxy.events.types import EngineState, HostState
from tui.client.figures import size
from tui.client.host_client import HostError, host_state
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import local_url, token_refusal
from tui.commands.port_check import is_host

PROCESS_BYTES = 1_500_000_000
"""Memory of such a process beside the weights: Python, MLX, activations, the compared prompts."""

_WEIGHTS_FACTOR = 1.1  # buffers are whole pages
_SHARE = 0.75  # of the machine's memory: macOS's recommended maximum for the GPU


@dataclass(frozen=True, slots=True)
class Memory:
    """The machine's memory in bytes: total, and available to programs."""

    total: int
    available: int


def memory_now() -> Memory:
    """The figures of the system."""
    now = psutil.virtual_memory()
    return Memory(now.total, now.available)


def check_memory(settled: Settled, memory: Memory) -> None:
    """Check that no host has a model on the configured port, or that another model fits beside it.

    Raises:
        CommandFailed: it does not fit, or its size is unknown.
    """
    config = settled.config
    url = local_url(config.host, config.port)
    if not config.port or not is_host(url):
        return
    state = _state(settled, url)
    if state is not None and not _has_a_model(state):
        return
    need = needed_bytes(config.model, config.draft_model)
    if need is not None and fits(need, state.engine if state is not None else None, memory):
        return
    with_model = f" with {state.model or bundled_model.NAME}" if state is not None else ""
    takes = f"of about {size(need)}" if need is not None else "of unknown size, as it is not downloaded yet,"
    raise CommandFailed(
        ExitCode.USAGE,
        f"a host runs on {url}{with_model}, and a second model {takes} may not fit beside it "
        f"({size(memory.available)} of {size(memory.total)} are free); stop that host first, or run anyway "
        "with --beside-host",
    )


def fits(need: int, engine: EngineState | None, memory: Memory) -> bool:
    """Whether `need` bytes fit beside an engine; None: an engine in an unknown state."""
    used = engine.memory_bytes if engine is not None else 0
    # A loading engine will take about as much as ours: it has the same configuration.
    to_come = max(0, need - used) if engine is not None and engine.state in ("starting", "loading") else 0
    return need + to_come <= memory.available and used + to_come + need <= _SHARE * memory.total


def needed_bytes(model: str, draft_model: str = "") -> int | None:
    """Memory for a process that runs these models, by the size of their files; None: one is missing."""
    weights = 0
    for name in (model, *filter(None, (draft_model,))):
        if (folder := folder_of(name)) is None:
            return None
        try:
            weights += sum(file.stat().st_size for file in weight_choices(folder)[0].files)
        except (ModelError, OSError):
            pass  # the loader reports the problem
    return int(weights * _WEIGHTS_FACTOR) + PROCESS_BYTES


def folder_of(model: str) -> Path | None:
    """The folder of a model by its configured name; None: a hub id that is not downloaded."""
    if not model:
        return bundled_model.FOLDER
    if Path(model).is_dir() or not is_hub_id(model):
        return Path(model)
    from huggingface_hub import try_to_load_from_cache  # slow to import, and rarely needed

    found = try_to_load_from_cache(model, "config.json")
    return Path(found).parent if isinstance(found, str) else None


def _has_a_model(state: HostState) -> bool:
    engine_here = backend_kind(state.backend) == "mlx"
    return engine_here and state.engine.state not in ("stopped", "failed")


def _state(settled: Settled, url: str) -> HostState | None:
    """The host's state; None if it reports none, or our token must not be sent to it."""
    if token_refusal(settled, url) or is_another_users(settled.config.port):
        return None
    try:
        return asyncio.run(host_state(url, settled.config.token))
    except HostError:
        return None

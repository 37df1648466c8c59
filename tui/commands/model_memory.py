"""Is there memory for another copy of the model while a host runs? Asked before anything is loaded.

Two processes that hold a model each push a Mac into swap, and such that wire their memory have hung it.
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
from tui.client.host_client import HostClient, HostError
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import local_url, token_refusal
from tui.commands.port_check import is_host

PROCESS_BYTES = 1_500_000_000
"""What such a process takes beside the weights: Python, MLX, activations, the prompts that it compares."""

_WEIGHTS_FACTOR = 1.1  # buffers of whole pages
_SHARE = 0.75  # of the machine's memory, which macOS recommends to give to the GPU at most


@dataclass(frozen=True, slots=True)
class Memory:
    """The machine's memory in bytes: all there is, and what programs can have now."""

    total: int
    available: int


def memory_now() -> Memory:
    """What the system says."""
    now = psutil.virtual_memory()
    return Memory(now.total, now.available)


def check_memory(settled: Settled, memory: Memory) -> None:
    """Pass if no host holds a model on the configured port, or one more model fits beside it.

    Raises:
        CommandFailed: it does not fit, or nobody can tell.
    """
    config = settled.config
    url = local_url(config.host, config.port)
    if not config.port or not is_host(url):
        return
    state = _state(settled, url)
    if state is not None and not _holds_a_model(state):
        return
    need = needed_bytes(config.model, config.draft_model)
    if need is not None and fits(need, state.engine if state is not None else None, memory):
        return
    held = f" with {state.model or bundled_model.NAME}" if state is not None else ""
    takes = f"of about {size(need)}" if need is not None else "of unknown size, as it is not downloaded yet,"
    raise CommandFailed(
        ExitCode.USAGE,
        f"a host runs on {url}{held}, and a second model {takes} may not fit beside it "
        f"({size(memory.available)} of {size(memory.total)} are free); end that host first, or try all the "
        "same with --beside-host",
    )


def fits(need: int, engine: EngineState | None, memory: Memory) -> bool:
    """Whether `need` bytes fit beside an engine; None: one of which nothing is known."""
    held = engine.memory_bytes if engine is not None else 0
    # One that still loads will take about as much as ours: it has the same configuration.
    to_come = max(0, need - held) if engine is not None and engine.state in ("starting", "loading") else 0
    return need + to_come <= memory.available and held + to_come + need <= _SHARE * memory.total


def needed_bytes(model: str, draft_model: str = "") -> int | None:
    """Memory for a process that runs these models, by the size of their files; None: one is not here."""
    weights = 0
    for name in (model, *filter(None, (draft_model,))):
        if (folder := _folder(name)) is None:
            return None
        try:
            weights += sum(file.stat().st_size for file in weight_choices(folder)[0].files)
        except (ModelError, OSError):
            pass  # who loads it tells what is wrong with it
    return int(weights * _WEIGHTS_FACTOR) + PROCESS_BYTES


def _folder(model: str) -> Path | None:
    if not model:
        return bundled_model.FOLDER
    if Path(model).is_dir() or not is_hub_id(model):
        return Path(model)
    from huggingface_hub import try_to_load_from_cache  # slow to import, and seldom wanted

    found = try_to_load_from_cache(model, "config.json")
    return Path(found).parent if isinstance(found, str) else None


def _holds_a_model(state: HostState) -> bool:
    engine_here = backend_kind(state.backend) == "mlx"
    return engine_here and state.engine.state not in ("stopped", "failed")


def _state(settled: Settled, url: str) -> HostState | None:
    """The host's own account; None where it gives none, or our token is not for it."""
    if token_refusal(settled, url) or is_another_users(settled.config.port):
        return None
    return asyncio.run(_asked(url, settled.config.token))


async def _asked(url: str, token: str) -> HostState | None:
    client = HostClient(url, token)
    try:
        return await client.state()
    except HostError:
        return None
    finally:
        await client.close()

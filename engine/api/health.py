"""The engine's state for `/health`: the heartbeat of the model's loop, not of the web server."""

from __future__ import annotations

import os
from typing import Any

import mlx.core as mx
import psutil

from engine.scheduling.scheduler import Scheduler

HEALTHY = frozenset({"ready", "busy"})


def health_report(scheduler: Scheduler, model: str, accelerated: str) -> tuple[int, dict[str, Any]]:
    """Status code and body of `/health`, as docs/architecture.md lists it; never blocks."""
    health = scheduler.health()
    loaded, stats = scheduler.loaded, scheduler.stats()
    report = {
        "state": health.state,
        "progress": round(health.progress, 4),
        "detail": health.detail,
        "heartbeat_age_s": health.heartbeat_age_s,
        "last_progress_s": health.last_progress_s,
        "model": loaded.name if loaded is not None else model,
        "pid": os.getpid(),
        "running": health.running,
        "queue": health.queue,
        "memory_bytes": memory_bytes(),
        "accelerated": accelerated,
        "context_tokens": loaded.context_length if loaded is not None else 0,
        "notes": list(loaded.notes) if loaded is not None else [],
        "prefix_cache": stats["prefix_cache"],
        "memory": stats["memory"],
    }
    return (200 if health.state in HEALTHY else 503), report


def memory_bytes() -> int:
    """Memory of this process: resident, or what MLX holds where the system does not count it as such."""
    return max(int(psutil.Process().memory_info().rss), mx.get_active_memory() + mx.get_cache_memory())

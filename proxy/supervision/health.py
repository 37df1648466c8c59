"""Probes the engine's health and judges the results."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Literal

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from proxy.backends.plain_http import PlainTransport
from proxy.events.types import EngineCache, EngineMemory, Probe

Responsiveness = Literal["healthy", "stalled", "unresponsive"]


class EngineHealth(BaseModel):
    """The body of the engine's `/health`, with defaults for missing fields."""

    model_config = ConfigDict(extra="ignore")

    state: str
    progress: float | None = None
    detail: str | None = ""
    heartbeat_age_s: float | None = None
    last_progress_s: float | None = None
    model: str | None = ""
    running: int = 0
    queue: int = 0
    memory_bytes: int = 0
    accelerated: str | bool | None = ""
    context_tokens: int = 0
    notes: list[str] = []
    prefix_cache: EngineCache | None = None
    memory: EngineMemory | None = None

    @property
    def busy(self) -> bool:
        """Whether the engine has work."""
        return self.running > 0 or self.queue > 0


class HealthProbe:
    """Requests `/health` from an address; close it after use."""

    def __init__(self, *, timeout_s: float = 5.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.refused = False  # whether the last connection was refused
        # No web proxy of the environment: the engine is on this machine. Not httpx's own transport: it raises
        # AttributeError where an engine that ends closes the connection at once.
        self._client = httpx.AsyncClient(timeout=timeout_s, trust_env=False, transport=PlainTransport())
        self._timeout = timeout_s
        self._monotonic = monotonic

    async def ask(self, url: str) -> tuple[Probe, EngineHealth | None]:
        """The result of the probe, and the health report if it is valid."""
        began = self._monotonic()
        self.refused = False
        try:
            response = await self._client.get(f"{url}/health")
            health = EngineHealth.model_validate_json(response.content)
        except httpx.TimeoutException:
            return Probe(ok=False, latency_s=self._timeout, detail="no answer in time"), None
        except httpx.HTTPError as error:
            self.refused = isinstance(error, httpx.ConnectError)
            return Probe(ok=False, detail=str(error) or type(error).__name__), None
        except ValidationError:
            return Probe(ok=False, detail=f"status {response.status_code} and no health report"), None
        latency = round(self._monotonic() - began, 6)
        well = response.status_code == 200
        return Probe(ok=well, latency_s=latency, detail="" if well else health.detail or health.state), health

    async def close(self) -> None:
        await self._client.aclose()


class Watchdog:
    """Measures how long one engine process has made no progress, from its probes.

    Args:
        stalled_after_s: seconds without progress or without an answer until it counts as stalled.
        unresponsive_after_s: the same, until it counts as unresponsive.
        loading_unresponsive_after_s: the same while it loads without a change of progress and detail.
    """

    def __init__(
        self,
        *,
        stalled_after_s: float,
        unresponsive_after_s: float,
        loading_unresponsive_after_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stalled_after = stalled_after_s
        self._unresponsive_after = unresponsive_after_s
        self._loading_unresponsive_after = loading_unresponsive_after_s
        self._monotonic = monotonic
        # The start of each condition; None while it does not hold.
        self._unanswered: float | None = None  # no answer
        self._unhealthy: float | None = None  # it reports that it is stalled or failed
        self._busy: float | None = None
        self._loading_at: float | None = None  # it loads without progress
        self._loading: tuple[float | None, str | None] = None, None
        self.silence_s = 0.0  # at the last call of `judge`

    def judge(self, health: EngineHealth | None) -> Responsiveness:
        """The verdict on the newest report; None: the engine did not answer."""
        now = self._monotonic()
        self._note(health, now)
        self.silence_s = self._silence(health, now)
        loading = self._loading_at is not None
        if self.silence_s >= (self._loading_unresponsive_after if loading else self._unresponsive_after):
            return "unresponsive"
        late = self.silence_s >= self._stalled_after and not loading
        return "stalled" if late or self._unhealthy is not None else "healthy"

    def _note(self, health: EngineHealth | None, now: float) -> None:
        self._unanswered = _since(self._unanswered, health is None, now)
        if health is None:
            return
        self._unhealthy = _since(self._unhealthy, health.state in ("stalled", "failed"), now)
        self._busy = _since(self._busy, health.busy, now)
        if (health.progress, health.detail) != self._loading:
            self._loading, self._loading_at = (health.progress, health.detail), None
        self._loading_at = _since(self._loading_at, health.state == "loading", now)

    def _silence(self, health: EngineHealth | None, now: float) -> float:
        since = [
            moment for moment in (self._unanswered, self._unhealthy, self._loading_at) if moment is not None
        ]
        silence = now - min(since, default=now)
        if health is None or self._busy is None:
            return silence
        # After an idle time the engine's own figure is the age of earlier work.
        progress = math.inf if health.last_progress_s is None else health.last_progress_s
        return max(silence, min(progress, now - self._busy))


def _since(before: float | None, holds: bool, now: float) -> float | None:
    return (now if before is None else before) if holds else None

"""The Anthropic API of the proxy as an ASGI application."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi import FastAPI

from proxy.backends.upstream import Backend
from proxy.config import HostConfig
from proxy.errors import UpstreamError

if TYPE_CHECKING:
    from proxy.recorder import Recorder


def create_app(
    config: HostConfig,
    backend: Backend,
    recorder: Recorder,
    engine_gate: Callable[[], UpstreamError | None],
) -> FastAPI:
    """The application with the `/v1` routes; the host adds its own routers to it.

    `engine_gate` is asked before each request to the model: an error means that the engine is not ready,
    and is what the client is told.
    """
    raise NotImplementedError((config, backend, recorder, engine_gate))

"""The backend that a configuration asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine import bundled_model
from proxy.backends.claude import ClaudeBackend
from proxy.backends.mlx import MlxBackend
from proxy.backends.openai import OpenAIBackend
from proxy.backends.upstream import Backend, LateTools
from proxy.configuration.known_backends import KNOWN_BACKENDS, KnownBackend
from proxy.configuration.settled import HostConfig
from proxy.events.errors import UpstreamUnavailable

_LATE_TOOLS: Mapping[str, LateTools | None] = {"auto": None, "text": "text", "list": "listed"}


def make_backend(
    config: HostConfig, engine_url: Callable[[], str], engine_model: Callable[[], str] | None = None
) -> Backend | ClaudeBackend:
    """Make the backend; nothing is connected before the first request.

    `engine_url` says where the built-in engine listens now, "" while that is not known; `engine_model` which
    model it runs, by default the configured one.

    Raises:
        ValueError: the backend needs a URL and the configuration has none.
    """
    if config.backend == "mlx":

        def base_url() -> str:
            if url := engine_url():
                return f"{url}/v1"
            raise UpstreamUnavailable("the engine is not up yet; please retry", cause="engine starting")

        return MlxBackend(
            base_url,
            engine_model or (lambda: config.model or bundled_model.NAME),
            project_text=config.project_text_behind_tools,
        )
    known = _known(config)
    url = upstream_address(config)
    if not url:
        raise ValueError(f"the backend {config.backend_name!r} needs a base URL")
    if config.backend == "claude":
        return ClaudeBackend(url, key=config.backend_key, token=config.token)
    return OpenAIBackend(
        url,
        config.model,
        name=config.backend_name,
        key=config.backend_key,
        system_turns=config.upstream_system_turns,
        structured_calls=known is not None and known.structured_calls,
        tool_format=config.tool_format,
        top_k=known is not None and known.top_k,
        thinking=known.thinking if known is not None else "",
        context_tokens=config.context_tokens,
        late_tools=_LATE_TOOLS[config.upstream_late_tools],
    )


def upstream_address(config: HostConfig) -> str:
    """Where requests of a backend that is elsewhere go; "" where nothing says it."""
    known = _known(config)
    return config.backend_url or (known.url if known is not None else "")


def _known(config: HostConfig) -> KnownBackend | None:
    return KNOWN_BACKENDS.get(config.backend_name) or KNOWN_BACKENDS.get(config.backend)

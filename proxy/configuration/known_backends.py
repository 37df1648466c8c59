"""The names that users give to backends, and where each usually listens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BackendKind = Literal["mlx", "openai", "claude"]


@dataclass(frozen=True, slots=True)
class KnownBackend:
    """What a backend name stands for; `url` is empty where there is no usual one.

    `structured_calls`: it parses its models' calls itself, or refuses tools where it cannot. `top_k`: it
    takes this beside OpenAI's sampling. `thinking`: whose fields about thinking it takes
    (`proxy.backends.upstream.ThinkingControl`).
    """

    kind: BackendKind
    url: str = ""
    needs_key: bool = False
    structured_calls: bool = False
    top_k: bool = False
    thinking: Literal["", "vllm", "ollama", "openrouter"] = ""


KNOWN_BACKENDS: dict[str, KnownBackend] = {
    "mlx": KnownBackend("mlx"),
    "vllm-mlx": KnownBackend("mlx"),  # the built-in engine's old name, still in users' files
    "openai": KnownBackend("openai"),
    "lmstudio": KnownBackend("openai", "http://127.0.0.1:1234/v1", structured_calls=True, top_k=True),
    "ollama": KnownBackend("openai", "http://127.0.0.1:11434/v1", structured_calls=True, thinking="ollama"),
    "vllm": KnownBackend(
        "openai",
        "http://127.0.0.1:8000/v1",
        structured_calls=True,
        top_k=True,
        thinking="vllm",
    ),
    "openrouter": KnownBackend(
        "openai",
        "https://openrouter.ai/api/v1",
        needs_key=True,
        structured_calls=True,
        top_k=True,
        thinking="openrouter",
    ),
    "claude": KnownBackend("claude", "https://api.anthropic.com"),
}


def backend_kind(name: str) -> BackendKind:
    """What kind of backend a name stands for; unknown ones are taken for OpenAI-compatible."""
    known = KNOWN_BACKENDS.get(name)
    return known.kind if known else "openai"


def reports_reuse(backend: str, restored_tokens: float) -> bool:
    """Whether it is known what was restored: a server other than the engine need not say that."""
    return backend_kind(backend) == "mlx" or restored_tokens > 0


@dataclass(frozen=True, slots=True)
class KnownSearchEngine:
    """`url` is empty for an engine that people run themselves."""

    url: str
    needs_key: bool


SEARCH_ENGINES: dict[str, KnownSearchEngine] = {
    "searxng": KnownSearchEngine("", needs_key=False),
    "brave": KnownSearchEngine("https://api.search.brave.com", needs_key=True),
    "tavily": KnownSearchEngine("https://api.tavily.com", needs_key=True),
}

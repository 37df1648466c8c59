"""The settled configuration of one host: what the command line, the environment and the file agree on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

BackendKind = Literal["mlx", "openai", "claude"]


class ConfigError(ValueError):
    """The configuration cannot be used; raised before anything starts.

    `problems` has one line for each thing that is wrong, each naming where it stands, the value and what
    is allowed; `warnings` what was found beside it, such as a file that does not count.
    """

    def __init__(self, problems: str | Sequence[str], warnings: Sequence[str] = ()) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        self.warnings = tuple(warnings)
        super().__init__("\n".join(self.problems))


class HostConfig(BaseModel):
    """Everything a proxy process has to know, as JSON-able values; it reads nothing else."""

    model_config = ConfigDict(frozen=True)

    backend: BackendKind = "mlx"
    backend_name: str = "mlx"  # as the user named it: "vllm-mlx", "lmstudio", "openrouter" ...
    backend_url: str = ""  # of the openai and claude backends; empty for the built-in engine
    backend_key: str = ""
    destination: str = ""  # where requests go and who says so, for people; empty: to the built-in engine
    upstream_system_turns: bool = False  # the openai backend's template takes system entries anywhere
    model: str = ""  # folder or hub id for mlx, model name for openai; empty: the bundled demo model
    context_tokens: int = 0  # the model's window as the user states it; 0: as the model's own files state it
    prefix_cache_bytes: int | None = None  # memory for prompts of the built-in engine; None: by the machine
    memory_limit_bytes: int | None = None  # that the built-in engine may take; None: by the machine
    wired: Literal["weights", "off"] = "weights"  # what macOS may not page out of the built-in engine
    kv_bits: int | None = None  # of a stored key or value, 4 or 8; None: as the model computes them
    tool_format: str = ""  # how the model writes tool calls; empty: as its chat template shows
    grammar: bool = True  # the built-in engine holds tool calls and JSON answers to their grammar
    draft_model: str = ""  # folder or hub id of a small model that guesses tokens ahead
    draft_tokens: int = 3
    loop_tokens: int = 2000  # that an answer may repeat itself for in the built-in engine; 0: for ever
    relax_gpu_watchdog: bool = False  # let macOS wait longer before it ends work of the built-in engine
    disk_cache_bytes: int = 20_000_000_000  # for prompts of the built-in engine, below home; 0: none
    disk_writes_per_day_bytes: int = 50_000_000_000  # most that is written there in a day
    host: str = "127.0.0.1"
    port: int = 8082
    engine_port: int = 0  # of the built-in engine; 0: any free one, which it announces
    home: Path
    token: str = ""  # asked of clients when not empty
    trace: bool = True
    debug_level: int = 0
    stream_logging: bool = False
    manage_engine: bool = True  # start and supervise the built-in engine; False: it runs already

    @property
    def kv_cache_folder(self) -> Path:
        """Where the built-in engine keeps computed prompts, and what it measured for them."""
        return self.home / "kv-cache"

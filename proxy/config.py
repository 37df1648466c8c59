"""The settled configuration of one host: what the command line, the environment and the file agree on."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

BackendKind = Literal["mlx", "openai", "claude"]


class HostConfig(BaseModel):
    """Everything a proxy process has to know, as JSON-able values; it reads nothing else."""

    model_config = ConfigDict(frozen=True)

    backend: BackendKind = "mlx"
    backend_name: str = "mlx"  # as the user named it: "vllm-mlx", "lmstudio", "openrouter" ...
    backend_url: str = ""  # of the openai and claude backends; empty for the built-in engine
    backend_key: str = ""
    model: str = ""  # folder or hub id for mlx, model name for openai; empty: the bundled demo model
    host: str = "127.0.0.1"
    port: int = 8082
    engine_port: int = 8081
    home: Path
    token: str = ""  # asked of clients when not empty
    trace: bool = True
    debug_level: int = 0
    stream_logging: bool = False
    manage_engine: bool = True  # start and supervise the built-in engine; False: it runs already

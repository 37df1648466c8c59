"""A home with model stores as other programs leave them, for the commands of `anyclaude-tui models`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.model_folders import LAYER, write_folder
from tui.commands.invocation import Invocation

COMMIT = "a" * 40


class Home:
    """Stores below a folder; nothing of this machine's own is looked at."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.hub = root / ".cache" / "huggingface" / "hub"
        self.lm_studio = root / ".lmstudio" / "models"
        self.environ = {"HOME": str(root), "OLLAMA_MODELS": str(root / ".ollama" / "models")}

    def invocation(self, **options: Any) -> Invocation:
        return Invocation({"home": str(self.root / "state"), "port": 0} | options, "", self.environ)

    def hub_model(self, name: str, config: dict[str, Any] | None = None, **more: Any) -> Path:
        """A model in Hugging Face's cache, whole; returns its folder there."""
        whole = self.hub / ("models--" + name.replace("/", "--"))
        snapshot = write_folder(whole / "snapshots" / COMMIT, config, more.pop("tensors", LAYER), **more)
        (whole / "blobs").mkdir()
        (whole / "refs").mkdir()
        (whole / "refs" / "main").write_text(COMMIT)
        for file in snapshot.iterdir():  # as the hub's client does
            blob = whole / "blobs" / f"etag-{file.name}"
            file.rename(blob)
            file.symlink_to(Path("..", "..", "blobs", blob.name))
        return whole

    def gguf(self, name: str) -> Path:
        folder = self.lm_studio / name
        folder.mkdir(parents=True)
        (folder / "model.gguf").write_bytes(b"GGUF")
        return folder

    def ollama(self, name: str, tag: str, kind: str = "model", size: int = 5_000_000_000) -> Path:
        folder = Path(self.environ["OLLAMA_MODELS"]) / "manifests" / "registry.ollama.ai" / "library" / name
        folder.mkdir(parents=True, exist_ok=True)
        layer = {"mediaType": f"application/vnd.ollama.image.{kind}", "size": size, "digest": "sha256:0"}
        (folder / tag).write_text(json.dumps({"layers": [layer]}))
        return folder / tag

"""A hub on loopback: the parts of Hugging Face's HTTP API that a download of a model uses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from bench.scripted_upstream import serving

COMMIT = "b" * 40
_PIECE = 1 << 16


@dataclass
class LoopbackHub:
    """Models by their ids, each with its files; what goes wrong is set by a test.

    `gated` and `private` need the token `good`. `moved` are new ids by old ones. Of a file in `breaks_at`
    only so many bytes are sent before the connection ends, once. `refuses` is a status for every request.
    """

    models: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    private: set[str] = field(default_factory=set)
    moved: dict[str, str] = field(default_factory=dict)
    breaks_at: dict[str, int] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)
    refuses: int = 0
    called: str = ""  # the id that it says a model has, if another
    requests: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, Range
    tokens: set[str] = field(default_factory=set)
    url: str = ""

    def app(self) -> Starlette:
        methods = ["GET", "HEAD"]
        return Starlette(
            routes=[
                Route("/api/models/{owner}/{name}", self._info),
                Route("/api/models/{owner}/{name}/revision/{revision}", self._info),
                Route("/api/models/{owner}/{name}/tree/{revision}", self._tree),
                Route("/{owner}/{name}/resolve/{revision}/{file:path}", self._file, methods=methods),
            ]
        )

    def fetched(self, name: str) -> list[str]:
        """The ranges with which a file was asked for; empty for all of it."""
        return [span for method, path, span in self.requests if method == "GET" and path.endswith(f"/{name}")]

    def _refusal(self, request: Request) -> Response | None:
        hub_id = f"{request.path_params['owner']}/{request.path_params['name']}"
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.requests.append((request.method, request.url.path, request.headers.get("range", "")))
        self.tokens.add(token)
        if self.refuses:
            return Response("no", self.refuses)
        if hub_id in self.moved:
            target = str(request.url.path).replace(hub_id, self.moved[hub_id], 1)
            query = f"?{request.url.query}" if request.url.query else ""
            return Response(status_code=307, headers={"location": target + query})
        if hub_id in self.gated and token != "good":
            code = "GatedRepo"
            return Response("gated", 403 if token else 401, headers={"x-error-code": code})
        if hub_id not in self.models or (hub_id in self.private and token != "good"):
            code = "RepoNotFound"
            return Response("none", 404 if token else 401, headers={"x-error-code": code})
        if request.path_params.get("revision", "main") not in ("main", COMMIT):
            return Response("no", 404, headers={"x-error-code": "RevisionNotFound"})
        return None

    async def _info(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        hub_id = f"{request.path_params['owner']}/{request.path_params['name']}"
        siblings = [
            {"rfilename": name, "size": len(content), "blobId": _sha1(content), "lfs": _lfs(name, content)}
            for name, content in self.models[hub_id].items()
        ]
        return JSONResponse({"id": self.called or hub_id, "sha": COMMIT, "siblings": siblings})

    async def _tree(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        hub_id = f"{request.path_params['owner']}/{request.path_params['name']}"
        rows: list[dict[str, Any]] = []
        for name, content in self.models[hub_id].items():
            row: dict[str, Any] = {
                "type": "file",
                "path": name,
                "size": len(content),
                "oid": _sha1(content),
            }
            if lfs := _lfs(name, content):
                row["lfs"] = {"oid": lfs["sha256"], "size": len(content), "pointerSize": 100}
            rows.append(row)
        return JSONResponse(rows)

    async def _file(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        hub_id = f"{request.path_params['owner']}/{request.path_params['name']}"
        name = request.path_params["file"]
        content = self.models[hub_id].get(name)
        if content is None:
            return Response("no", 404, headers={"x-error-code": "EntryNotFound"})
        lfs = _lfs(name, content)
        etag = lfs["sha256"] if lfs else _sha1(content)
        headers = {"etag": f'"{etag}"', "x-repo-commit": COMMIT, "accept-ranges": "bytes"}
        if name in self.damaged:
            content = bytes(len(content))
        start = 0
        if span := request.headers.get("range"):
            start = int(span.removeprefix("bytes=").partition("-")[0])
            headers["content-range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        headers["content-length"] = str(len(content) - start)
        if request.method == "HEAD":
            return Response(headers=headers)
        end = self.breaks_at.pop(name, len(content))

        async def body() -> AsyncIterator[bytes]:
            for at in range(start, end, _PIECE):
                yield content[at : min(end, at + _PIECE)]
            if end < len(content):
                raise ConnectionAbortedError  # the server ends the connection within the body

        return StreamingResponse(body(), 206 if span else 200, headers=headers)


@contextmanager
def loopback_hub() -> Iterator[LoopbackHub]:
    hub = LoopbackHub()
    with serving(hub.app()) as url:
        hub.url = url.removesuffix("/v1")
        yield hub


def _lfs(name: str, content: bytes) -> dict[str, Any] | None:
    if not name.endswith((".safetensors", ".gguf", ".bin")):
        return None
    return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 100}


def _sha1(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


def model_files(weights_bytes: int = 300_000) -> dict[str, bytes]:
    """Files as a repository has them, with some that no engine needs."""
    header = json.dumps(
        {
            f"model.layers.0.self_attn.{name}_proj.weight": {
                "dtype": "BF16",
                "shape": [4, weights_bytes // 16],
                "data_offsets": [at, at + weights_bytes // 16 * 8],
            }
            for name, at in (("k", 0), ("v", weights_bytes // 16 * 8))
        }
    ).encode()
    body = bytes(number % 251 for number in range(weights_bytes // 16 * 16))
    config = {"model_type": "qwen3", "num_hidden_layers": 1, "max_position_embeddings": 4096}
    return {
        "config.json": json.dumps(config).encode(),
        "tokenizer.json": b'{"added_tokens": []}',
        "model.safetensors": len(header).to_bytes(8, "little") + header + body,
        "modeling_own.py": b"raise SystemExit",
        "README.md": b"---\nlicense: mit\n---\n",
        "model-Q4.gguf": b"GGUF",
    }

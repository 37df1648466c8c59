"""`GET /v1/models` in Anthropic's form.

Claude Code's model discovery lists ids that contain `claude` only, so the model that answers is listed under
such an id and under its own. Requests may name either, or any other: it answers all of them.
"""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI
from fastapi.responses import Response

from engine import bundled_model
from engine.wire.json_text import encode_json
from proxy.backends.upstream import Backend
from proxy.events.errors import InvalidRequest, NotFound

_CREATED = "1970-01-01T00:00:00Z"  # Anthropic's own value for a release date that is not known
_MAX_PAGE = 1000


def model_entries(ids: list[str]) -> list[dict[str, Any]]:
    """The entries of a model list, discoverable ones first."""
    entries = [_entry(discoverable_id(model), model) for model in ids]
    entries += [_entry(model, model) for model in ids]
    return list({entry["id"]: entry for entry in entries}.values())


def discoverable_id(model: str) -> str:
    """An id for a model that contains `claude`; the model's own where it does already."""
    if "claude" in model.lower():
        return model
    name = model.rstrip("/").rsplit("/", 1)[-1]
    return f"claude-{re.sub(r'[^a-z0-9.]+', '-', name.lower()).strip('-.')}"


def add_model_routes(app: FastAPI, backend: Backend) -> None:
    @app.get("/v1/models", include_in_schema=False)
    async def models(limit: str = "20", after_id: str = "", before_id: str = "") -> Response:
        entries = model_entries(await backend.models())
        return _json(_page(entries, limit, after_id, before_id))

    @app.get("/v1/models/{model_id:path}", include_in_schema=False)
    async def model(model_id: str) -> Response:
        for entry in model_entries(await backend.models()):
            if entry["id"] == model_id:
                return _json(entry)
        raise NotFound(f"model: {model_id}")


def _page(entries: list[dict[str, Any]], limit: str, after_id: str, before_id: str) -> dict[str, Any]:
    if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit) <= _MAX_PAGE:
        raise InvalidRequest(f"limit: must be an integer from 1 to {_MAX_PAGE}, not {limit!r}")
    ids = [entry["id"] for entry in entries]
    if after_id in ids:
        entries = entries[ids.index(after_id) + 1 :]
    elif before_id in ids:
        end = ids.index(before_id)
        entries = entries[max(0, end - int(limit)) : end]
    shown = entries[: int(limit)]
    return {
        "data": shown,
        "has_more": len(shown) < len(entries),
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
    }


def _entry(model_id: str, name: str) -> dict[str, Any]:
    shown = name.rstrip("/").rsplit("/", 1)[-1]
    if name == bundled_model.NAME:
        shown = f"{name} ({bundled_model.CHOOSE})"
    return {"type": "model", "id": model_id, "display_name": shown, "created_at": _CREATED}


def _json(body: Any) -> Response:
    return Response(encode_json(body), media_type="application/json")

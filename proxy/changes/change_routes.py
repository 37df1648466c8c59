"""The host's own API for changes while it runs: the models of its machine, and its settings."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, ValidationError

from proxy.api.client_side import read_body
from proxy.api.query_parameters import is_set, parameters
from proxy.changes.change_facts import Changed, LiveSettings, LocalModelList
from proxy.changes.live_changes import CannotChange, LiveChanges
from proxy.configuration.settled import ConfigError
from proxy.events.errors import InvalidRequest

_Responses = dict[int | str, dict[str, Any]]
_Wish = TypeVar("_Wish", bound=BaseModel)
_MOST_BYTES = 1 << 16
_SETTLES_WITHIN_S = 5.0  # clients wait 10 s for an answer, and ask again
_CHANGED: _Responses = {202: {"model": Changed}}


class ModelWish(BaseModel):
    """The model to load, by its name or path on the host's machine."""

    model_config = ConfigDict(extra="forbid")

    model: str
    drain: bool = True  # after the requests that run


class SettingsWish(BaseModel):
    """Settings to change, by their keys in the configuration file; null takes a change back."""

    model_config = ConfigDict(extra="forbid")

    changes: dict[str, Any]
    drain: bool = True


def change_routes(changes: LiveChanges) -> APIRouter:
    """The routes of docs/architecture.md, "Host API", that change what the host does."""
    router = APIRouter()

    @router.get("/anyclaude/models", responses={200: {"model": LocalModelList}})
    async def models() -> Response:
        """The models of this machine: size, window, what fits, measured speed, and which one is loaded."""
        return _json(await asyncio.to_thread(changes.local_models))

    @router.post("/anyclaude/model", status_code=202, responses=_CHANGED, openapi_extra=_body(ModelWish))
    async def use_model(request: Request) -> Response:
        """Load another model, by default after the requests that run; new ones are told to retry meanwhile.

        Where it cannot be loaded, the one before is loaded again, and a notice says why.
        """
        wish = await _read(request, ModelWish)
        try:
            chosen = await asyncio.to_thread(changes.find_model, wish.model)
            return _json(changes.use_model(chosen, drain=wish.drain), 202)
        except CannotChange as error:
            raise InvalidRequest(str(error)) from None

    @router.get(
        "/anyclaude/settings",
        responses={200: {"model": LiveSettings}},
        openapi_extra=parameters("settled"),
    )
    async def settings(request: Request) -> Response:
        """The settings that can be changed while this host runs, once the engine is up with them, or not."""
        if is_set(request, "settled"):
            await changes.until_settled(_SETTLES_WITHIN_S)
        return _json(LiveSettings(settings=changes.settings()))

    @router.post(
        "/anyclaude/settings", status_code=202, responses=_CHANGED, openapi_extra=_body(SettingsWish)
    )
    async def change(request: Request) -> Response:
        """Change settings until the host ends; where one is the engine's, the engine restarts."""
        wish = await _read(request, SettingsWish)
        try:
            return _json(changes.change(wish.changes, drain=wish.drain), 202)
        except ConfigError as error:
            raise InvalidRequest("; ".join(error.problems)) from None
        except CannotChange as error:
            raise InvalidRequest(str(error)) from None

    return router


async def _read(request: Request, kind: type[_Wish]) -> _Wish:
    body = await read_body(request.scope, request.receive, _MOST_BYTES)
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise InvalidRequest(f"{where + ': ' if where else ''}{fault['msg']}") from None


def _body(kind: type[BaseModel]) -> dict[str, Any]:
    schema = kind.model_json_schema()
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _json(found: BaseModel, status: int = 200) -> Response:
    return Response(found.model_dump_json(), status, media_type="application/json")

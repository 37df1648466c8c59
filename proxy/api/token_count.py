"""`POST /v1/messages/count_tokens`: how many tokens the prompt of a request has, counted by the upstream."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response

from engine.wire.json_text import encode_json
from proxy.anthropic.messages import check_prompt, parse_body
from proxy.api.client_side import new_request_id, read_body
from proxy.api.context_editing import edit_context
from proxy.api.messages import Service
from proxy.backends.upstream import UpstreamRequest
from proxy.translate.late_tools.places import conversation_key
from proxy.translate.request import translate_request


def add_token_count_route(app: FastAPI, service: Service) -> None:
    @app.post("/v1/messages/count_tokens", include_in_schema=False)
    async def count_tokens(request: Request) -> Response:
        body = parse_body(await read_body(request.scope, request.receive, service.max_body_bytes))
        check_prompt(body)
        fault = service.engine_gate()
        if fault is not None:
            raise fault
        backend = service.backend
        model, request_id = await backend.model_name(), new_request_id()
        dialect = service.dialect_for(model)
        read = await service.documents.read(body)
        earlier = service.tool_history.of(conversation_key(read))
        edited = await edit_context(read, backend, dialect, model, request_id, earlier)
        # The answer's limit is no part of the prompt, and may not fit where the prompt does.
        translated = translate_request(edited.body, dialect, earlier).body
        translated.pop("max_tokens", None)
        counted = UpstreamRequest({"model": model, **translated}, request_id)
        answer: dict[str, Any] = {"input_tokens": await backend.count_tokens(counted)}
        if edited.applied:
            answer["context_management"] = {"original_input_tokens": edited.original_tokens}
        headers = {"request-id": counted.request_id}
        return Response(encode_json(answer), 200, headers, "application/json")

"""What the `anthropic` package says is in the Messages API: fields, blocks and tools by their names."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin, get_type_hints

from anthropic.types import beta
from anthropic.types.anthropic_beta_param import AnthropicBetaParam
from anthropic.types.beta.message_create_params import MessageCreateParamsStreaming
from pydantic import BaseModel
from typing_extensions import is_typeddict


def fields() -> set[str]:
    """The fields of a request's body."""
    headers = {"betas", "user_profile_id", "workspace_id"}
    return set(get_type_hints(MessageCreateParamsStreaming)) - headers


def block_types() -> set[str]:
    """The types of content blocks in requests, those within tool results among them."""
    within_results = get_args(get_type_hints(beta.BetaToolResultBlockParam)["content"])
    return _types_in(beta.BetaContentBlockParam) | set().union(*map(_types_in, within_results))


def tool_types() -> set[str]:
    """The types of tools."""
    return _types_in(beta.BetaToolUnionParam)


def edit_types() -> set[str]:
    """The types of context edits."""
    return _types_in(get_type_hints(beta.BetaContextManagementConfigParam)["edits"])


def kinds_within_fields() -> set[tuple[str, str]]:
    """The `type` of each object that a field holds, and the fields of `output_config`."""
    body = get_type_hints(MessageCreateParamsStreaming)
    unions = {
        "thinking.type": body["thinking"],
        "tool_choice.type": body["tool_choice"],
        "document.source.type": get_type_hints(beta.BetaRequestDocumentBlockParam)["source"],
        "image.source.type": get_type_hints(beta.BetaImageBlockParam)["source"],
    }
    found = {(field, kind) for field, union in unions.items() for kind in _types_in(union)}
    return found | {("output_config", name) for name in get_type_hints(beta.BetaOutputConfigParam)}


def delta_types() -> set[str]:
    """The types of deltas in an answer's stream."""
    return _types_in(beta.BetaRawContentBlockDelta)


def betas() -> set[str]:
    """The names of betas."""
    return {name for each in get_args(AnthropicBetaParam) for name in _literals(each)}


def _types_in(annotation: Any) -> set[str]:
    """The `type` of each object in a union, also within lists."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _literals(annotation.model_fields["type"].annotation)
    if is_typeddict(annotation):
        return _literals(get_type_hints(annotation).get("type"))
    return set().union(*map(_types_in, get_args(annotation)), set())


def _literals(annotation: Any) -> set[str]:
    if get_origin(annotation) is Literal:
        return {value for value in get_args(annotation) if isinstance(value, str)}
    return set().union(*map(_literals, get_args(annotation)), set())

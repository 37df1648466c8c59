"""Requests of the engine's API: OpenAI's chat completion body, checked once and then trusted.

Unknown fields are ignored, wrong values refused with the name of the parameter, as OpenAI does it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from engine.api.json_body import InvalidChatRequest
from engine.scheduling.requests.steps import Sampling
from engine.wire.chat import Message
from engine.wire.thinking_budget import EFFORT_TOKENS

_SAMPLING = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}

_TOO_LARGE = 1 << 64  # for a whole number
MAX_STOPS = 256  # each is looked for in every piece of the answer
# Models write names between marks of all kinds; both vendors' own APIs allow no more, but for the dot.
_TOOL_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})

# Arguments of the renderer and of the tokenizer's `apply_chat_template`; a template's variables are others.
_NOT_TEMPLATE_VARIABLES = frozenset(
    {"messages", "conversation", "tools", "chat_template", "add_generation_prompt", "continue_final_message"}
    | {"tokenize", "padding", "truncation", "max_length", "return_tensors", "return_dict"}
    | {"return_assistant_tokens_mask", "tokenizer_kwargs", "self"}
)


def _as_list(value: Any) -> Any:
    return [] if value is None else [value] if isinstance(value, str) else value


def _or_default(default: float | int) -> BeforeValidator:
    """OpenAI's clients may send null for what they leave to the server."""
    return BeforeValidator(lambda value: default if value is None else value)


def _not_a_switch(value: Any) -> Any:
    """Python takes true for 1."""
    if isinstance(value, bool):
        raise PydanticCustomError("number", "must be a number, not true or false")
    return value


def _of_size(value: Any) -> Any:
    """Larger numbers come out of a body as fractions, which has little to do with what is wrong."""
    if isinstance(value, int | float) and abs(value) >= _TOO_LARGE:
        raise PydanticCustomError("whole_number", "must be a whole number below 2 to the power of 64")
    return value


Number = Annotated[float, BeforeValidator(_not_a_switch)]
Whole = Annotated[int, BeforeValidator(_of_size), BeforeValidator(_not_a_switch)]


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """What `tool_choice` asks for: calls of any of `names`, which None leaves to all tools."""

    kind: Literal["auto", "required", "none"]
    names: frozenset[str] | None = None


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


class ChatRequest(BaseModel):
    """A chat completion body; `messages` and `tools` stay the dicts that came in, checked."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    model: str | None = None
    messages: list[Message] = Field(min_length=1)
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    stop: Annotated[
        list[Annotated[str, Field(min_length=1)]], BeforeValidator(_as_list), Field(max_length=MAX_STOPS)
    ] = []
    max_tokens: Whole | None = Field(default=None, ge=1)
    max_completion_tokens: Whole | None = Field(default=None, ge=1)
    n: Annotated[Literal[1], _or_default(1)] = 1
    # The ranges are those of engine.scheduling.sampling, which would refuse without the name of the
    # parameter.
    temperature: Number | None = Field(default=None, ge=0, le=2)
    top_p: Number | None = Field(default=None, ge=0, le=1)
    top_k: Whole | None = Field(default=None, ge=-1)
    min_p: Number | None = Field(default=None, ge=0, le=1)
    presence_penalty: Annotated[Number, _or_default(0.0), Field(ge=-2, le=2)] = 0.0
    frequency_penalty: Annotated[Number, _or_default(0.0), Field(ge=-2, le=2)] = 0.0
    repetition_penalty: Number | None = Field(default=None, gt=0, le=10)
    logit_bias: dict[Annotated[int, Field(ge=0)], Annotated[Number, Field(ge=-100, le=100)]] | None = None
    seed: Whole | None = None
    logprobs: Any = None
    top_logprobs: Any = None
    reasoning_effort: str | None = None
    thinking_token_budget: Whole | None = Field(default=None, ge=-1)
    chat_template_kwargs: dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    continue_final_message: bool | None = None
    choice: ToolChoice = Field(default_factory=lambda: ToolChoice("auto"), exclude=True)

    @field_validator("messages")
    @classmethod
    def _readable_messages(cls, messages: list[Message]) -> list[Message]:
        for position, message in enumerate(messages):
            _check_message(message, f"messages[{position}]")
        return messages

    @field_validator("tools")
    @classmethod
    def _named_tools(cls, tools: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
        for position, tool in enumerate(tools or []):
            function = tool.get("function")
            if not isinstance(function, dict) or not isinstance(function.get("name"), str):
                raise InvalidChatRequest(
                    f"tools[{position}]: a tool needs function.name", param=f"tools[{position}].function.name"
                )
            if not _TOOL_NAME.fullmatch(function["name"]):
                raise InvalidChatRequest(
                    f"tools[{position}]: a tool's name is 1 to 128 letters, digits, '_', '-' or '.':"
                    f" {function['name'][:60]!r}",
                    param=f"tools[{position}].function.name",
                )
        return tools

    @field_validator("logprobs", "top_logprobs")
    @classmethod
    def _no_probabilities(cls, value: Any, info: ValidationInfo) -> Any:
        if value:
            raise InvalidChatRequest(
                f"{info.field_name}: this engine does not report the probabilities of tokens; leave it out",
                param=info.field_name,
                code="unsupported_parameter",
            )
        return value

    @field_validator("chat_template_kwargs")
    @classmethod
    def _template_variables(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if taken := _NOT_TEMPLATE_VARIABLES & (value or {}).keys():
            param = f"chat_template_kwargs.{min(taken)}"
            raise InvalidChatRequest(f"{param} is not for requests to set", param=param)
        return value

    @field_validator("response_format")
    @classmethod
    def _known_format(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        kind = value.get("type") if value is not None else "text"
        if kind not in {"text", "json_object", "json_schema"}:
            allowed = "text, json_object or json_schema"
            raise InvalidChatRequest(f"response_format.type must be {allowed}", param="response_format.type")
        if value is not None and kind == "json_schema":
            named = value.get("json_schema")
            if not isinstance(named, dict) or not isinstance(named.get("schema"), dict):
                param = "response_format.json_schema.schema"
                raise InvalidChatRequest(f"{param} must be a JSON schema", param=param)
        return value

    @model_validator(mode="after")
    def _known_choice(self) -> ChatRequest:
        self.choice = _tool_choice(self.tool_choice, self.tools or [])
        return self

    def check_tokens(self, vocab_size: int) -> None:
        """Check the tokens that the request names against a model's.

        Raises:
            InvalidChatRequest: it has no such token.
        """
        if outside := [token for token in self.logit_bias or {} if token >= vocab_size]:
            param = f"logit_bias.{outside[0]}"
            raise InvalidChatRequest(
                f"{param}: the tokens of this model are 0 to {vocab_size - 1}", param=param
            )

    @property
    def shown_tools(self) -> list[dict[str, Any]]:
        """The tools at the prompt's beginning: of those with `defer_loading` the messages tell the model."""
        return [tool for tool in self.tools or [] if tool.get("defer_loading") is not True]

    @property
    def callable_tools(self) -> list[dict[str, Any]]:
        """The tools that the answer may call."""
        names = self.choice.names
        if self.choice.kind == "none":
            return []
        return [tool for tool in self.tools or [] if names is None or tool["function"]["name"] in names]

    @property
    def answer_schema(self) -> dict[str, Any] | None:
        """The JSON schema that the answer has to fit, if it has to fit one."""
        asked = self.response_format or {}
        if asked.get("type") == "json_object":
            return {"type": "object"}
        schema = (
            (asked.get("json_schema") or {}).get("schema") if asked.get("type") == "json_schema" else None
        )
        return schema if isinstance(schema, dict) else None

    @property
    def may_think(self) -> bool:
        """Whether the model may think before it answers: it may unless the request says no."""
        switches = self.chat_template_kwargs or {}
        return self.reasoning_effort != "none" and switches.get("enable_thinking") is not False

    @property
    def thinking_budget(self) -> int | None:
        """The number of tokens to think for at most; None for any number.

        The field is vLLM's, in which -1 stands for any number. Without it the effort decides.
        """
        if not self.may_think:
            return 0
        if self.thinking_token_budget is not None:
            return self.thinking_token_budget if self.thinking_token_budget >= 0 else None
        return EFFORT_TOKENS.get(self.reasoning_effort or "")

    @property
    def output_limit(self) -> int | None:
        """The number of tokens to generate at most, if the client sets one."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with a usage chunk."""
        return self.stream_options is not None and self.stream_options.include_usage

    def sampling(self, model_defaults: Mapping[str, Any] | None = None) -> Sampling:
        """The sampling parameters in the model loop's terms.

        What the body does not name, or names as null, is the model's own default, else OpenAI's.
        """
        defaults = _SAMPLING | dict(model_defaults or {})

        def chosen(name: str) -> Any:
            value = getattr(self, name)
            return defaults[name] if value is None else value

        return Sampling(
            temperature=chosen("temperature"),
            top_p=chosen("top_p"),
            top_k=max(chosen("top_k"), 0),
            min_p=chosen("min_p"),
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            repetition_penalty=chosen("repetition_penalty"),
            logit_bias=self.logit_bias or {},
            seed=self.seed,
        )


def parse_chat(body: dict[str, Any]) -> ChatRequest:
    """Check a chat completion body.

    Raises:
        InvalidChatRequest: the first thing that is wrong with it.
    """
    try:
        return ChatRequest.model_validate(body)
    except ValidationError as error:
        raise _first_fault(error) from error


def _first_fault(error: ValidationError) -> InvalidChatRequest:
    fault = error.errors(include_url=False)[0]
    cause = fault.get("ctx", {}).get("error")
    if isinstance(cause, InvalidChatRequest):
        return cause
    param = ""
    for part in fault["loc"]:
        param += f"[{part}]" if isinstance(part, int) else f".{part}" if param else str(part)
    given = fault.get("input")
    shown = f" (got {given!r})" if isinstance(given, str | int | float) and len(repr(given)) < 60 else ""
    return InvalidChatRequest(f"{param}: {fault['msg']}{shown}", param=param)


def _tool_choice(value: str | dict[str, Any] | None, tools: Sequence[Mapping[str, Any]]) -> ToolChoice:
    """`tool_choice` in all of OpenAI's forms, checked against the tools."""
    if value is None:
        return ToolChoice("auto")
    if isinstance(value, str):
        if value not in ("none", "auto", "required"):
            raise InvalidChatRequest(
                "tool_choice must be none, auto, required or a tool", param="tool_choice"
            )
        if value == "required" and not tools:
            raise InvalidChatRequest("tool_choice is required, but there are no tools", param="tool_choice")
        return ToolChoice(cast(Literal["auto", "required", "none"], value))
    allowed = value.get("allowed_tools") if value.get("type") == "allowed_tools" else None
    if isinstance(allowed, dict):
        named = [_chosen_name(tool) for tool in allowed.get("tools") or []]
        kind: Literal["auto", "required"] = "required" if allowed.get("mode") == "required" else "auto"
        if not named and kind == "auto":
            return ToolChoice("none")
        if not named:
            raise InvalidChatRequest("tool_choice requires a call, and allows no tool", param="tool_choice")
    else:
        named, kind = [_chosen_name(value)], "required"
    offered = {tool["function"]["name"] for tool in tools}
    for name in named:
        if name not in offered:
            raise InvalidChatRequest(
                f"tool_choice names {name!r}, which is no tool of it", param="tool_choice"
            )
    return ToolChoice(kind, frozenset(name for name in named if name is not None))


def _chosen_name(choice: Any) -> str | None:
    function = choice.get("function") if isinstance(choice, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else None


def _check_message(message: Message, where: str) -> None:
    role, content = message.get("role"), message.get("content")
    if role not in ROLES:
        raise InvalidChatRequest(
            f"{where}.role must be one of {', '.join(sorted(ROLES))}", param=f"{where}.role"
        )
    if content is not None and not isinstance(content, str | list):
        raise InvalidChatRequest(f"{where}.content must be a string or a list", param=f"{where}.content")
    for number, part in enumerate(content if isinstance(content, list) else []):
        if not isinstance(part, dict | str):
            at = f"{where}.content[{number}]"
            raise InvalidChatRequest(f"{at} must be an object with a type", param=at)
    calls = message.get("tool_calls")
    if calls is not None and not isinstance(calls, list):
        raise InvalidChatRequest(f"{where}.tool_calls must be a list", param=f"{where}.tool_calls")
    for number, call in enumerate(calls or []):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            at = f"{where}.tool_calls[{number}].function.name"
            raise InvalidChatRequest(f"{at} must be a string", param=at)
    ids = {f"tool_calls[{number}].id": call.get("id") for number, call in enumerate(calls or [])}
    for name, value in {"tool_call_id": message.get("tool_call_id"), **ids}.items():
        if isinstance(value, list | dict):
            raise InvalidChatRequest(f"{where}.{name} must be a string", param=f"{where}.{name}")

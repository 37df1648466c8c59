"""One tool call of an answer, from the model's raw text to the client's result."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from proxy.events.types import ToolVerdict


class ToolCall(BaseModel):
    """One tool call of the answer and, once the client has sent it, its result.

    The fields that `proxy.events.types.RequestToolCall` has too mean the same there.
    """

    model_config = ConfigDict(extra="ignore")  # read back from traces, also of later versions

    id: str
    name: str
    raw: str = ""  # as the model wrote it; else name and arguments as the upstream reported them
    tokens: list[int] = []  # ids of `raw`, where the upstream reports them and nothing was redacted
    family: str = ""
    constrained: bool | None = None
    relaxed: str = ""
    input: dict[str, Any] | None = None
    repairs: list[str] = []
    verdict: ToolVerdict = "unchecked"
    detail: str = ""
    result: str | None = None
    is_error: bool | None = None
    duration_s: float | None = None

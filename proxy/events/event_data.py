"""The base of all event payloads."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class EventData(BaseModel):
    """Base of all event payloads: immutable, tolerant of fields from a newer host."""

    model_config = ConfigDict(frozen=True, extra="ignore")

"""Why a prompt could not reuse more of the prefix cache; in the engine feed, in events and in traces."""

from __future__ import annotations

from typing import Literal

MissReason = Literal["cold", "diverged", "evicted", "disabled"]

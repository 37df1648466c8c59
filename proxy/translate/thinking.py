"""Thinking in requests and answers: when it is shown, and how it survives a client that hides it.

Claude Code asks for thinking with `display: omitted`: the block comes empty, with a signature, and is sent
back as it was. Clients replay signatures unread, so ours carries the thinking text itself (zlib, base64).
History then renders with the very tokens the model generated, across restarts of the proxy.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass
from typing import Any

_MARK = "anyclaude1."
_ENABLED = ("enabled", "adaptive", "between_tools")
_MAX_THINKING_BYTES = 8 * 2**20  # a forged signature must not unpack without end


@dataclass(frozen=True, slots=True)
class ThinkingMode:
    """`enabled`: thinking blocks are sent; `shown`: with their text, else only with the signature.

    `budget`: tokens that the client grants it, 0 for no limit of its own.
    """

    enabled: bool = False
    shown: bool = True
    budget: int = 0


def thinking_mode(body: dict[str, Any]) -> ThinkingMode:
    """What a request body says about thinking; anything that it does not know counts as disabled."""
    thinking = body.get("thinking")
    if not isinstance(thinking, dict) or thinking.get("type") not in _ENABLED:
        return ThinkingMode()
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int) or isinstance(budget, bool):
        budget = 0
    return ThinkingMode(True, thinking.get("display") != "omitted", max(0, budget))


def sign(thinking: str) -> str:
    """The signature of a thinking block."""
    packed = zlib.compress(thinking.encode("utf-8", "replace"))
    return _MARK + base64.b64encode(packed).decode("ascii")


def thinking_text(block: dict[str, Any]) -> str:
    """The text of a thinking block of history: its own, else the one in our signature, else empty."""
    text = block.get("thinking")
    if isinstance(text, str) and text:
        return text
    signature = block.get("signature")
    if not isinstance(signature, str) or not signature.startswith(_MARK):
        return ""
    try:
        packed = base64.b64decode(signature[len(_MARK) :], validate=True)
        return zlib.decompressobj().decompress(packed, _MAX_THINKING_BYTES).decode("utf-8", "replace")
    except (binascii.Error, zlib.error):
        return ""

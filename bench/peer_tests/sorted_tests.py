"""Tests of peers that do not say which calls an output is meant to be, each with the reason."""

from __future__ import annotations

_ANY = "asks only that nothing is raised"
_REASONS: dict[str, dict[str, str]] = {
    "vllm": {"test_malformed_input": _ANY},
    "sglang": {},
    "mlx-lm": {},
}


def reason(peer: str, test: str) -> str:
    """Why a test does not tell what is meant; empty if it does."""
    return next((why for part, why in _REASONS.get(peer, {}).items() if part in test), "")

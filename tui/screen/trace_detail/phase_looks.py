"""How the phases of a request look in bars: a shape of its own each, so that colours are not needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.traces.analysis.why_facts import PhaseName

PHASE_LOOKS: dict[PhaseName, tuple[str, str]] = {
    "sending": ("▏", "muted"),
    "waiting": ("░", "warn"),
    "template": ("▏", "accent"),
    "tokenizing": ("▎", "accent"),
    "grammar": ("▍", "accent"),
    "lookup": ("▏", "restored"),
    "restore": ("█", "restored"),
    "prefill": ("▒", "prefill"),
    "first token": ("◆", "decode"),
    "upstream": ("▒", "prefill"),
    "decode": ("▓", "ok"),
    "silence": ("·", "warn"),
    "finishing": ("▏", "muted"),
}
"""The sign and the style of each phase."""

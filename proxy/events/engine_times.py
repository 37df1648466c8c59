"""What the phases before an answer took in the engine."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class EngineTimes(BaseModel):
    """How long the built-in engine took for each phase before the answer, in seconds by its own clock.

    In their order, without a gap between them; None: not known, or it did not come to that.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    render_wait_s: float | None = None  # other prompts were rendered
    template_s: float | None = None
    tokenize_s: float | None = None
    grammar_s: float | None = None  # compiling what constrains the answer
    waiting_s: float | None = None  # in the prefill queue, without `restore_s`
    lookup_s: float | None = None
    restore_s: float | None = None  # reading from disk included
    prefill_s: float | None = None  # steps of other requests between its own included
    first_token_s: float | None = None

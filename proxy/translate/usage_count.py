"""The tokens of one answer, as far as they are known. Pure."""

from __future__ import annotations

from proxy.backends.upstream import Finish, Lookup, TokenEstimates
from proxy.events.types import Usage

NO_USAGE = "the upstream reported no usage: output tokens are the pieces that it sent"
ESTIMATED = (
    "usage is an estimate, as the upstream counts at the end of an answer, which did not come: the prompt by"
    " the tokens per byte of an earlier prompt, the output by the tokens per character of an earlier answer,"
    " or the pieces that it sent if they are more"
)
PROMPT_NOT_KNOWN = (
    "usage is an estimate, as the upstream counts at the end of an answer, which did not come: no prompt"
    " tokens are counted, the output by the tokens per character of an earlier answer, or the pieces that it"
    " sent if they are more"
)
NOT_KNOWN = (
    "usage is not known, as the upstream counts at the end of an answer, and none has come to its end yet:"
    " no prompt tokens are counted, and output tokens are the pieces that it sent"
)


class UsageCount:
    """Counts from the steps of an answer; `earlier` is the usage of the rounds before it.

    `output_tokens` are those so far: pieces, until the upstream reports its own count. `usage` has the prompt
    as soon as it is counted, and the output at the end.
    """

    def __init__(self, earlier: Usage) -> None:
        self.usage = earlier
        self.output_tokens = earlier.output_tokens
        self._earlier = earlier
        self._looked_up = False
        self._counted_prompt = self._counted_output = False
        self._estimates: TokenEstimates | None = None
        self._characters = 0

    @property
    def so_far(self) -> Usage:
        """The usage with the output counted up to now."""
        return self.usage.model_copy(update={"output_tokens": self.output_tokens})

    def piece(self, text: str) -> None:
        """A piece of text, thinking or arguments has come."""
        self.output_tokens += 1
        self._characters += len(text)

    def output(self, tokens: int) -> None:
        """The upstream has counted the answer up to here."""
        self._counted_output = True
        self.output_tokens = max(self.output_tokens, self._earlier.output_tokens + tokens)

    def prompt(self, tokens: int, cached: int) -> None:
        """The upstream has counted the prompt; what the engine's lookup says of it is more exact."""
        self._counted_prompt = True
        if not self._looked_up:
            cached = min(cached, tokens)
            now = Usage(input_tokens=tokens - cached, cache_read_input_tokens=cached)
            self.usage = self._earlier.plus(now)

    def lookup(self, step: Lookup) -> None:
        """The engine has looked the prompt up in its cache."""
        self._counted_prompt = self._looked_up = True
        now = Usage.of_prompt(step.prompt_tokens, step.matched_tokens, step.kept_tokens)
        self.usage = self._earlier.plus(now)

    def estimates(self, step: TokenEstimates) -> None:
        """What to go by if the answer is interrupted."""
        self._estimates = step

    def finish(self, step: Finish, *, says_nothing: bool = False) -> str:
        """Take the counts of the answer's end; returns a note if it has none."""
        note = "" if step.output_tokens is not None else NO_USAGE
        if says_nothing:
            self.output_tokens = self._earlier.output_tokens
        elif step.output_tokens is not None:
            self.output_tokens = self._earlier.output_tokens + step.output_tokens
        if step.prompt_tokens is not None:
            self.prompt(step.prompt_tokens, step.cached_tokens or 0)
        self.usage = self.so_far
        return note

    def interrupted(self, *, began: bool) -> tuple[Usage, str]:
        """The usage of an answer without its end, and how it was counted if not by the upstream alone.

        An upstream that has not `began` to work on it has refused the request, and counts nothing.
        """
        usage, known = self.so_far, self._estimates
        if known is None or not began or (self._counted_prompt and self._counted_output):
            return usage, ""
        if not self._counted_prompt:
            usage = usage.model_copy(update={"input_tokens": usage.input_tokens + known.prompt_tokens})
        if not self._counted_output:
            output = self._earlier.output_tokens + round(self._characters * known.tokens_per_character)
            usage = usage.model_copy(update={"output_tokens": max(usage.output_tokens, output)})
        if known.prompt_tokens or self._counted_prompt:
            return usage, ESTIMATED
        return usage, PROMPT_NOT_KNOWN if known.tokens_per_character else NOT_KNOWN

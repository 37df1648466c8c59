"""`python -m engine.cache_verification`: compare cached with uncached answers on this machine.

Conversations are made of Python's own sources, so that their tokens are common ones. Each is answered
greedily in several ways, and tokens and logits are compared:

- cold:     without a cache, the prompt in chunks; the reference of all others but warm and disk
- again:    cold once more; a difference here is not the cache's
- stepped:  without a cache, but the earlier answers token by token, as they were generated
- carried:  with a draft model: without a store, each turn continues the arrays of the answer before it
- warm:     restored from what the earlier turns stored in memory; compared with stepped, or carried
- disk:     restored from disk by a new cache; compared with stepped, or carried
- whole:    without a cache, the prompt in one chunk (in few, beyond 32,768 tokens)
- batched:  without a cache, in a batch with other slots

`again`, `warm` and `disk` must be equal to the last bit. The others show how much the last bits depend on how
many tokens are computed together. With a draft model an answer is computed several tokens at a time, rejected
guesses among them, so that a run token by token cannot reproduce it.

Prints a table. Exit codes: 1 not equal, 2 wrong options, 4 the model cannot be used, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import trim_prompt_cache

from engine.chunks.fit import largest_chunk
from engine.model_files.errors import ModelError
from engine.model_options import add_model_options, at_least_one, chosen_settings
from engine.models.loading import LoadedModel
from engine.prefix_cache.cache import RadixPrefixCache
from engine.prefix_cache.checkpoints import needs_checkpoints, store_positions
from engine.prefix_cache.disk.tier import DiskTier
from engine.prefix_cache.interface import as_token_array, common_prefix
from engine.prefix_cache.layers import layout_of
from engine.process.exit_codes import ExitCode
from engine.scheduling.batch import Batch, Slot
from engine.scheduling.prefill import Prefill
from engine.scheduling.requests.steps import Sampling
from engine.scheduling.runner import ModelRunner
from engine.scheduling.sampling import build_sampler
from engine.settings import SettingsError
from engine.source_texts import standard_library_texts
from engine.startup import load
from engine.trials.caching import restore_fault

EXACT = ("again", "warm", "disk")
CONTROLS = ("stepped", "whole", "batched")
CARRIED = "carried"
_MEMORY = 1 << 40  # bytes: nothing is evicted
_BATCH = 3
_LONGEST_TURN = 400  # tokens


@dataclass
class ComparedAnswer:
    """Greedy tokens, and the logits that each was chosen from, of shape (vocabulary,)."""

    tokens: list[int] = field(default_factory=list)
    logits_after: dict[int, Any] = field(default_factory=dict)  # by the number of tokens before them

    @property
    def logits(self) -> list[Any]:
        """The logits of each token in order, with those computed beyond the last one."""
        return [logits for _, logits in sorted(self.logits_after.items())]


@dataclass
class Carried:
    """The tokens and arrays that the last answer left."""

    tokens: list[int]
    cache: list[Any]


@dataclass
class Outcome:
    """How the runs of one way compare with their reference."""

    runs: int = 0
    other_tokens: int = 0  # runs whose tokens differ
    first_difference: str = ""
    largest: float = 0.0  # difference of two logits, up to the first token that differs
    reused: int = 0
    prompt: int = 0

    def add(self, cold: ComparedAnswer, got: ComparedAnswer, what: str) -> None:
        """Compare one run."""
        self.runs += 1
        pairs = list(zip(cold.tokens, got.tokens, strict=True))
        same = next((n for n, (first, second) in enumerate(pairs) if first != second), len(pairs))
        for first, second in zip(cold.logits[: same + 1], got.logits[: same + 1], strict=True):
            self.largest = max(self.largest, largest_difference(first, second))
        if same < len(pairs):
            self.other_tokens += 1
            self.first_difference = self.first_difference or f"{what}, token {same + 1}"


class NotComparable(Exception):
    """The model has no cache to compare with, or computes NaN; the message is one line."""


class Verification:
    """Runs conversations on one model, on the thread that loaded it."""

    def __init__(self, loaded: LoadedModel, folder: Path, *, chunk: int, answer_tokens: int) -> None:
        self._runner = ModelRunner(loaded)
        self._exact_only = needs_checkpoints(self._runner.new_cache())
        self._chunk = chunk
        self._answer_tokens = answer_tokens
        self._folder = folder
        self._fingerprint = loaded.fingerprint
        self._sampler = build_sampler(Sampling(temperature=0.0), loaded.vocab_size)
        ways = (*EXACT, *CONTROLS, CARRIED) if loaded.draft is not None else (*EXACT, *CONTROLS)
        self.outcomes = {way: Outcome() for way in ways}

    def conversation(self, name: str, turns: Sequence[Sequence[int]]) -> None:
        """Verify one conversation; each turn continues the turn before and its answer."""
        steps: list[int] = []
        carried = Carried([], self._runner.new_cache())
        memory = RadixPrefixCache(max_bytes=_MEMORY)
        saved = self._on_disk(name)
        prompt: list[int] = []
        boundaries: list[int] = []
        try:
            for number, turn in enumerate(turns, 1):
                prompt = [*prompt, *turn]
                what = f"{name}, turn {number}"
                cold = self._alone(prompt, boundaries, None)
                self.outcomes["again"].add(cold, self._alone(prompt, boundaries, None), what)
                reference = self._alone(prompt, boundaries, None, steps=steps)
                self.outcomes["stepped"].add(cold, reference, what)
                if CARRIED in self.outcomes:
                    reference = self._alone(prompt, boundaries, None, carried=carried)
                    self.outcomes[CARRIED].add(cold, reference, what)
                self._cached("warm", memory, prompt, boundaries, reference, what)
                saved.close()
                saved = self._on_disk(name)
                self._cached("disk", saved, prompt, boundaries, reference, what)
                whole = self._alone(prompt, boundaries, None, chunk=len(prompt))
                self.outcomes["whole"].add(cold, whole, what)
                boundaries = [*boundaries, len(prompt)]
                steps += range(len(prompt) - 1, len(prompt) + len(cold.tokens) + 1)
                prompt = [*prompt, *cold.tokens]
            self.outcomes["batched"].add(cold, self._batched(prompt[: boundaries[-1]], boundaries[:-1]), what)
        finally:
            saved.close()

    def _on_disk(self, name: str) -> RadixPrefixCache:
        """A cache that is empty in memory, with the files of an earlier one of this name on disk."""
        cache = RadixPrefixCache(max_bytes=_MEMORY)
        disk = DiskTier(self._folder / name, self._fingerprint, max_bytes=_MEMORY, max_daily_bytes=_MEMORY)
        cache.attach(disk, layout_of(self._runner.new_cache()))
        return cache

    def _cached(
        self,
        way: str,
        cache: RadixPrefixCache,
        prompt: list[int],
        boundaries: list[int],
        reference: ComparedAnswer,
        what: str,
    ) -> None:
        loaded = threading.Event()
        if (fetch := cache.fetch(prompt, loaded.set)) is not None:
            loaded.wait()
            cache.insert_fetched(fetch)
        outcome = self.outcomes[way]
        outcome.reused += cache.restorable(as_token_array(prompt))
        outcome.prompt += len(prompt)
        outcome.add(reference, self._alone(prompt, boundaries, cache), what)

    def _alone(
        self,
        prompt: list[int],
        boundaries: list[int],
        cache: RadixPrefixCache | None,
        *,
        chunk: int | None = None,
        steps: Sequence[int] = (),
        carried: Carried | None = None,
    ) -> ComparedAnswer:
        """Answer a prompt alone, from `carried` where given; `carried` then has what this answer left."""
        batch = self._runner.new_batch()
        prefill = self._prefilled(prompt, boundaries, cache, chunk or self._chunk, steps, carried)
        answer = self._join(batch, prefill)
        answer.tokens += [batch.step()[0] for _ in range(self._answer_tokens)]
        (slot,) = batch.slots
        left = batch.leave(slot)
        if carried is not None:
            carried.tokens, carried.cache = slot.tokens, left
        if cache is not None:
            cache.insert(slot.tokens, left, "main")
        return answer

    def _batched(self, prompt: list[int], boundaries: list[int]) -> ComparedAnswer:
        batch = self._runner.new_batch()
        answer = self._join(batch, self._prefilled(prompt, boundaries, None, self._chunk))
        for number in range(1, _BATCH):
            other = self._prefilled(prompt[number:], [], None, self._chunk)
            if batch.accepts(other.position, other.cache):
                self._join(batch, other)
        answer.tokens += [batch.step()[0] for _ in range(self._answer_tokens)]
        return answer

    def _prefilled(
        self,
        prompt: list[int],
        boundaries: list[int],
        cache: RadixPrefixCache | None,
        chunk: int,
        steps: Sequence[int] = (),
        carried: Carried | None = None,
    ) -> Prefill:
        match = cache.lookup(prompt) if cache is not None else None
        restored = match.restored if match else 0
        prompt_cache = match.cache if match and match.cache is not None else self._runner.new_cache()
        if carried is not None:
            prompt_cache = carried.cache
            restored = common_prefix(as_token_array(carried.tokens), as_token_array(prompt[:-1]))
            trim_prompt_cache(prompt_cache, len(carried.tokens) - restored)
        stops = store_positions(boundaries, len(prompt), restored, self._exact_only)
        prefill = Prefill(self._runner, prompt, prompt_cache, restored, [*stops, *steps], chunk)
        while prefill.remaining:
            prefill.advance()
            if cache is not None and (kind := stops.get(prefill.position)):
                cache.insert(prefill.computed_tokens, prefill.cache, kind)
        return prefill

    def _join(self, batch: Batch, prefill: Prefill) -> ComparedAnswer:
        answer = ComparedAnswer()

        def note(tokens: Any, logits: Any) -> Any:
            # With a draft model, its logits come first and the model's replace them.
            answer.logits_after[len(tokens)] = logits[0]
            return logits

        slot = Slot(prefill.computed_tokens, self._sampler, [note])
        batch.join(slot, prefill.cache, prefill.last_token)
        return answer


def largest_difference(first: Any, second: Any) -> float:
    """The largest difference of two arrays of logits; equal infinities (masked tokens) do not differ.

    Raises:
        NotComparable: there is a NaN in them.
    """
    if mx.any(mx.isnan(first) | mx.isnan(second)).item():
        raise NotComparable("this model computes NaN, and its weights may be damaged; try another conversion")
    apart: Any = mx.where(first == second, 0, mx.abs(first - second)).max().item()
    return float(apart)


def conversations(loaded: LoadedModel, count: int, turns: int, head: int, seed: int) -> list[list[list[int]]]:
    """Token ids of `count` conversations: a shared prefix of `head` tokens, then turns of 20 to 400."""
    random = Random(seed)
    text = "\n".join(standard_library_texts(max(200_000, head * 40)))
    ids: list[int] = loaded.tokenizer.encode(text)
    made = []
    for _ in range(count):
        at = random.randrange(len(ids) - head)
        parts = [ids[at : at + head]]
        for _ in range(turns):
            length, at = random.randint(20, _LONGEST_TURN), random.randrange(len(ids) - _LONGEST_TURN)
            parts.append(ids[at : at + length])
        made.append([[*parts[0], *parts[1]], *parts[2:]])
    return made


def verify(
    loaded: LoadedModel,
    made: Sequence[Sequence[Sequence[int]]],
    *,
    chunk: int,
    answer_tokens: int,
    on_progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Outcome]:
    """Verify conversations, with files in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="anyclaude-verify-") as folder:
        verification = Verification(loaded, Path(folder), chunk=chunk, answer_tokens=answer_tokens)
        for number, turns in enumerate(made, 1):
            verification.conversation(f"conversation {number}", turns)
            on_progress(number)
    return verification.outcomes


def report(outcomes: dict[str, Outcome]) -> list[str]:
    """The lines of the table and the verdict."""
    lines = [f"{'':9}{'runs':>5}{'reused':>9}{'other answers':>15}  {'largest difference of logits'}"]
    for way, outcome in outcomes.items():
        reused = f"{outcome.reused / outcome.prompt:.1%}" if outcome.prompt else ""
        lines.append(
            f"{way:9}{outcome.runs:>5}{reused:>9}{outcome.other_tokens:>15}  {outcome.largest:.3g}"
            + (f"  (first: {outcome.first_difference})" if outcome.first_difference else "")
        )
    if outcomes["again"].largest > 0:
        lines.append("NOT EXACT: this machine computes the same prompt differently from run to run.")
    elif wrong := [way for way in EXACT if not is_exact(outcomes[way])]:
        names = " and ".join(wrong)
        lines.append(f"NOT EXACT: {names} runs differ from those without a cache. Please report it.")
    else:
        lines.append(
            "Exact: prompts restored from memory and from disk give the same answers to the last bit."
        )
    if CARRIED in outcomes:
        lines.append(
            "With a draft model, warm and disk are compared with carried, which stores no array."
            " Stepped shows the effect of computing several tokens at a time."
        )
    return lines


def is_exact(outcome: Outcome) -> bool:
    """Whether all runs gave the same tokens from the same logits."""
    return outcome.other_tokens == 0 and outcome.largest == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `python -m engine.cache_verification`."""
    parser = argparse.ArgumentParser(
        prog="python -m engine.cache_verification",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model_options(parser)
    parser.add_argument("--conversations", type=at_least_one, default=4)
    parser.add_argument("--turns", type=at_least_one, default=3, help="of each conversation")
    parser.add_argument("--head", type=at_least_one, default=2000, help="tokens of the shared prefix")
    parser.add_argument("--answer", type=at_least_one, default=16, help="tokens of each answer")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    try:
        loaded = load(chosen_settings(chosen), _report_progress)
        if fault := restore_fault(ModelRunner(loaded)):
            raise NotComparable(f"{loaded.name} runs without a prefix cache: {fault}")
        longest = chosen.head + chosen.turns * (_LONGEST_TURN + chosen.answer)
        if longest > loaded.context_length:
            parser.error(
                f"these conversations have {longest} tokens, but the context of {loaded.name} is"
                f" {loaded.context_length}; choose a smaller --head"
            )
        made = conversations(loaded, chosen.conversations, chosen.turns, chosen.head, chosen.seed)
        outcomes = verify(
            loaded,
            made,
            chunk=loaded.prefill_chunk or largest_chunk(),
            answer_tokens=chosen.answer,
            on_progress=lambda done: _report_progress(
                done / len(made), f"conversation {done} of {len(made)} compared"
            ),
        )
    except (ModelError, NotComparable) as error:
        print(error, file=sys.stderr)  # noqa: T201 - the one line that a user reads
        return ExitCode.ENGINE_FAILED
    except SettingsError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print("interrupted; the cache was not verified", file=sys.stderr)  # noqa: T201 - as above
        return ExitCode.INTERRUPTED
    for line in report(outcomes):
        print(line)  # noqa: T201 - the command's result
    return 0 if all(is_exact(outcomes[way]) for way in EXACT) else 1


def _report_progress(done: float, what: str) -> None:
    print(f"{done:4.0%} {what}", file=sys.stderr, flush=True)  # noqa: T201 - progress


if __name__ == "__main__":
    sys.exit(main())

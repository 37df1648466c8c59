"""`python -m engine.model_speed`: how fast a model reads prompts and answers on this machine.

An engine of its own, without its web side: the model is loaded as the engine loads it, prompts are prefilled
in its chunks, decoding is its decode batch, and warm prompts come from its prefix cache. For each length: a
cold prompt, its answer, the same prompt warm, and an answer that a grammar constrains. Prompts are made of
Python's own sources; answers go on whatever the model generates.

Prints a JSON line for each thing as it is measured (`engine.wire.speed_report`). Exit codes: 0 measured,
2 wrong options, 4 the model cannot be used, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.chunks.fit import largest_chunk
from engine.constrained.answer_grammar import AnswerRules
from engine.constrained.grammar import CompiledGrammar, Grammars, GrammarUnavailable
from engine.model_files.errors import ModelError
from engine.model_options import add_model_options, chosen_settings
from engine.models.device_name import computing_device
from engine.models.loading import LoadedModel
from engine.models.machine import machine_description
from engine.prefix_cache.cache import RadixPrefixCache
from engine.prefix_cache.checkpoints import needs_checkpoints, store_positions
from engine.prefix_cache.interface import as_token_array
from engine.process.blas import engine_environment
from engine.process.exit_codes import ExitCode
from engine.process.program_code import library_versions
from engine.scheduling.batch import Batch, Slot
from engine.scheduling.prefill import Prefill
from engine.scheduling.requests.steps import Sampling
from engine.scheduling.runner import ModelRunner
from engine.scheduling.sampling import build_sampler
from engine.settings import SettingsError
from engine.source_texts import standard_library_texts
from engine.startup import load
from engine.trials.memory_costs import weight_bytes
from engine.wire.speed_report import (
    MeasuredModel,
    SkippedLength,
    SpeedLine,
    SpeedProgress,
    SpeedRow,
    speed_text,
)

_MEMORY = 1 << 40  # bytes: nothing is evicted
_BYTES_A_TOKEN = 12  # of source code: more than any tokenizer's tokens have on average
_SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"path": {"type": "string"}, "line": {"type": "integer"}},
        "required": ["path", "line"],
        "additionalProperties": False,
    },
}

Emit = Callable[[SpeedLine], None]


class TimeIsUp(Exception):
    """The time of the run is over; raised between two chunks or tokens."""


@dataclass(frozen=True, slots=True)
class SpeedTask:
    """What to measure: prompts of these lengths, `decode_tokens` of each answer, in at most `seconds`."""

    lengths: Sequence[int]
    decode_tokens: int
    seconds: float


class SpeedRun:
    """One run on one model, on the thread that loaded it."""

    def __init__(
        self, loaded: LoadedModel, task: SpeedTask, emit: Emit, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._loaded = loaded
        self._task = task
        self._emit = emit
        self._clock = clock
        self._runner = ModelRunner(loaded)
        self._exact_only = needs_checkpoints(self._runner.new_cache())
        self._sampler = build_sampler(Sampling(temperature=0.0), loaded.vocab_size)
        self._grammar, self.grammar_fault = _grammar(loaded)
        self._end = clock() + task.seconds
        self._begun = 0

    def measure(self) -> Iterator[SpeedRow]:
        """The rows, shortest prompt first; what there is no time or room for is emitted as skipped."""
        tokens = _prompt_tokens(self._loaded, sum(self._task.lengths) + len(self._task.lengths))
        at = 0
        slowest = 0.0  # seconds a token of the row before
        for number, length in enumerate(self._task.lengths):
            self._begun = number
            why = self._why_not(length, slowest)
            prompt = tokens[at : at + length]
            at += length
            if not why:
                began = self._clock()
                try:
                    row = self._row(prompt)
                except TimeIsUp:
                    why = f"the time was over ({self._task.seconds:.0f} s)"
                else:
                    slowest = (self._clock() - began) / length
                    yield row
            if why:
                self._emit(SkippedLength(length, why))

    def _why_not(self, length: int, slowest: float) -> str:
        most = self._loaded.context_length - self._task.decode_tokens - 1
        if length > most:
            return f"the model serves {self._loaded.context_length} tokens"
        left = self._end - self._clock()
        if slowest * length > left:
            return f"it would take about {slowest * length:.0f} s, and {max(0.0, left):.0f} s are left"
        return ""

    def _row(self, prompt: list[int]) -> SpeedRow:
        cache = RadixPrefixCache(max_bytes=_MEMORY)
        count = self._task.decode_tokens
        batch = self._runner.new_batch()
        start = self._clock()
        slot = self._first_token(batch, prompt, cache, "cold", None)
        cold_s = self._clock() - start
        decode_s = self._decoded(batch, count, f"{len(prompt)} tokens: answer")
        cache.insert(slot.tokens, batch.leave(slot), "main")
        restored = cache.restorable(as_token_array(prompt))
        batch = self._runner.new_batch()
        start = self._clock()
        guide = self._grammar.guide() if self._grammar is not None else None
        self._first_token(batch, prompt, cache, "warm", guide)
        warm_s = self._clock() - start
        grammar_s = None
        if guide is not None:
            grammar_s = self._decoded(batch, count, f"{len(prompt)} tokens: answer with a grammar")
        return SpeedRow(len(prompt), cold_s, restored, warm_s, count, decode_s, grammar_s)

    def _first_token(
        self, batch: Batch, prompt: list[int], cache: RadixPrefixCache, how: str, guide: Any
    ) -> Slot:
        match = cache.lookup(prompt)
        restored = match.restored if match.cache is not None else 0
        kept = match.cache if match.cache is not None else self._runner.new_cache()
        stops = store_positions([], len(prompt), restored, self._exact_only)
        chunk = self._loaded.prefill_chunk or largest_chunk()
        prefill = Prefill(self._runner, prompt, kept, restored, list(stops), chunk)
        while prefill.remaining:
            prefill.advance()
            if kind := stops.get(prefill.position):
                cache.insert(prefill.computed_tokens, prefill.cache, kind)
            self._check(prefill.position / len(prompt) / 2, f"{len(prompt)} tokens: {how} prompt")
        slot = Slot(prefill.computed_tokens, self._sampler, guide=guide)
        batch.join(slot, prefill.cache, prefill.last_token)
        batch.step()
        return slot

    def _decoded(self, batch: Batch, count: int, what: str) -> float:
        start = self._clock()
        for _ in range(count):
            batch.step()
            if self._clock() > self._end:
                raise TimeIsUp
        took = self._clock() - start
        self._check(0.9, what)
        return took

    def _check(self, share: float, what: str) -> None:
        """Report progress; `share` is of the work on this length.

        Raises:
            TimeIsUp: the time of the run is over.
        """
        total = sum(self._task.lengths)
        before = sum(self._task.lengths[: self._begun])
        done = (before + share * self._task.lengths[self._begun]) / total
        self._emit(SpeedProgress(round(done, 3), what))
        if self._clock() > self._end:
            raise TimeIsUp


def measured_model(loaded: LoadedModel, grammar_fault: str) -> MeasuredModel:
    """The facts that a run is compared by."""
    return MeasuredModel(
        fingerprint=loaded.fingerprint,
        context_tokens=loaded.context_length,
        chunk_tokens=loaded.prefill_chunk or largest_chunk(),
        weights_bytes=weight_bytes(loaded)[0],
        machine=machine_description(),
        device=computing_device(engine_environment(os.environ)[1]).name,
        libraries=library_versions(),
        grammar_fault=grammar_fault,
    )


def _grammar(loaded: LoadedModel) -> tuple[CompiledGrammar | None, str]:
    try:
        grammars = Grammars(loaded.tokenizer, loaded.eos_token_ids)
        return grammars.compile(AnswerRules(schema=_SCHEMA)), ""
    except GrammarUnavailable as error:
        return None, str(error)


def _prompt_tokens(loaded: LoadedModel, count: int) -> list[int]:
    """So many tokens of source code, repeated if there is not enough of it."""
    text = "\n".join(standard_library_texts(max(20_000, count * _BYTES_A_TOKEN)))
    ids: list[int] = loaded.tokenizer.encode(text)
    while len(ids) < count:
        ids += ids
    return ids[:count]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m engine.model_speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model_options(parser)
    parser.add_argument("--lengths", default="1024,4096,16384", help="of prompts, in tokens")
    parser.add_argument("--decode", type=int, default=64, help="tokens of each answer")
    parser.add_argument("--seconds", type=float, default=300.0, help="for all of it, without loading")
    chosen = parser.parse_args(arguments)
    try:
        lengths = sorted({int(each) for each in chosen.lengths.split(",")})
        if not lengths or lengths[0] < 2 or chosen.decode < 1:
            raise ValueError
    except ValueError:
        parser.error("--lengths are whole numbers of 2 or more between commas, --decode is 1 or more")
    try:
        loaded = load(chosen_settings(chosen), lambda done, what: _print(SpeedProgress(0.0, what)))
        run = SpeedRun(loaded, SpeedTask(lengths, chosen.decode, chosen.seconds), _print)
        _print(measured_model(loaded, run.grammar_fault))
        for row in run.measure():
            _print(row)
    except ModelError as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.ENGINE_FAILED
    except SettingsError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return ExitCode.FINE


def _print(line: SpeedLine) -> None:
    sys.stdout.write(speed_text(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # MLX's own threads may outlive the interpreter, and then end the process with an abort

"""Evaluates the bundled model on words, names and wordings that it was not trained on.

    make eval-bundled          (python -m training.evaluation [--model FOLDER])

Four parts. Single requests: the first message must be the right call with exactly the right arguments or, if
no tool fits, a refusal. Two steps: call, generated result, answer; both must be exact, word for word. Free
questions: who it is, jokes, small sums, greetings, session titles, and what it cannot do. Failures: the
answer after failed or denied calls, in wordings that are not in the training data, and after empty results,
and the answer to a request behind an interrupted turn. Greedy decoding. Exit code 1 if a part misses its
goal.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlx_lm
from mlx_lm.generate import batch_generate
from tqdm import tqdm  # type: ignore[import-untyped]

from engine.bundled_model import FOLDER
from engine.models.tokenizer_loading import load_tokenizer
from engine.process.blas import engine_environment
from engine.prompts.chat_template import template_of
from engine.tool_calls.families.template_probe import detected_family
from engine.tool_calls.reading.pieces import CallEnd
from engine.tool_calls.schemas.tools import tool_schemas
from training import answers, noise
from training.conversations import Conversation, Conversations
from training.exchanges import (
    Message,
    call,
    called,
    edit_arguments,
    empty_answer,
    first_call,
    fixed_answer,
    returned,
    say,
    title_of,
)
from training.heldout import HELD_OUT, HELD_OUT_WORDINGS
from training.heldout_failures import HELD_OUT_FAILURES
from training.requests import FREE_KINDS, TOOL_KINDS, Request

SINGLES, TWO_STEPS, FREE, FAILURES = 500, 200, 300, 300
GOALS = {"single requests": 0.95, "two-step tasks": 0.90, "free questions": 0.95, "failures": 0.95}

_BATCH, _MAX_TOKENS = 20, 400
_PARAMETERS = {
    "Bash": {"command": "string"},
    "Edit": {"file_path": "string", "old_string": "string", "new_string": "string", "replace_all": "boolean"},
    "Glob": {"pattern": "string"},
    "Grep": {"pattern": "string", "path": "string", "output_mode": "string"},
    "Read": {"file_path": "string"},
    "Write": {"file_path": "string", "content": "string"},
}


@dataclass(frozen=True, slots=True)
class Case:
    """A prompt, and the messages one of which must come next."""

    kind: str
    messages: list[Message]
    tools: list[str]
    expected: list[Message]
    rest: list[Message] = field(default_factory=list)  # messages of the conversation behind the expected one


class Examination:
    """Draws cases from the held-out lists; the same seed gives the same cases."""

    def __init__(self, seed: int) -> None:
        self._source = Conversations(seed, HELD_OUT, HELD_OUT_WORDINGS, HELD_OUT_FAILURES)
        self._random = self._source.random

    def single(self) -> Case:
        """A request alone, or behind an earlier exchange."""
        source = self._source
        tools = source.tool_set()
        kind = source.kind_for(tools)
        messages, read = self._opening(), set[str]()
        if self._random.random() < 0.3:
            earlier = source.requests.draw(self._random.choice(("read", "read", "write", "run", "joke")))
            messages += source.exchanges.carry_out(earlier, tools, read)
        file = self._random.choice(sorted(read)) if read and self._random.random() < 0.5 else None
        request = source.requests.draw(kind, file)
        expected = first_call(request, tools, read) or {"role": "assistant", "content": answers.NO_TOOL}
        asked = [*messages, {"role": "user", "content": request.text}]
        return Case(kind, source.interrupted(asked), tools, [expected])

    def two_step(self) -> Case:
        """A request that tools can serve, with the following messages; failures are a part of their own."""
        source = self._source
        while True:
            kind, tools = self._random.choice(TOOL_KINDS), source.tool_set()
            request = source.requests.draw(kind)
            done = source.exchanges.carry_out(request, tools, set(), failing=0)
            if len(done) < 3:
                continue
            messages = self._opening()
            return Case(kind, [*messages, done[0]], tools, [done[1]], done[2:])

    def free(self) -> Case:
        """A question that needs no tool."""
        source = self._source
        kind = self._random.choice((*FREE_KINDS, "title"))
        if kind == "title":
            return self._title()
        request = source.requests.draw(kind)
        texts: tuple[str, ...] = answers.JOKES if kind == "joke" else (fixed_answer(request),)
        if kind == "plus":  # "add 2 to 15" may be answered in either order
            first, second = int(request.slots["a"]), int(request.slots["b"])
            texts = (answers.sum_answer(first, "+", second), answers.sum_answer(second, "+", first))
        tools = source.tool_set() if self._random.random() < 0.7 else []
        asked = [*self._opening(), {"role": "user", "content": request.text}]
        expected = [{"role": "assistant", "content": text} for text in texts]
        return Case(kind, source.interrupted(asked), tools, expected)

    def failure(self) -> Case:
        """A call that failed or returned nothing, or a request behind an interrupted turn."""
        source, failures = self._source, self._source.exchanges.failures
        tools, read = source.tool_set(), set[str]()
        messages = self._opening()
        if self._random.random() < 0.3:
            earlier = source.requests.draw(self._random.choice(("read", "write", "run", "list")))
            messages += source.exchanges.carry_out(earlier, tools, read, failing=0.5)
        if self._random.random() < 0.2:
            messages += source.stopped(tools, read)
            request = source.requests.draw(source.kind_for(tools))
            asked = source.after_stop(failures.interruption(), {"role": "user", "content": request.text})
            return Case(
                "stopped",
                [*messages, *asked],
                tools,
                [first_call(request, tools, read) or say(answers.NO_TOOL)],
            )
        request, calling = self._served(tools, read)
        messages += [{"role": "user", "content": request.text}, calling]
        if (nothing := empty_answer(request)) and self._random.random() < 0.2:
            return Case("nothing", [*messages, returned(failures.nothing())], tools, [say(nothing)])
        if called(calling) == "Read" and request.kind.startswith("edit") and self._random.random() < 0.6:
            content = source.exchanges.results.numbered(
                source.exchanges.results.content(contains=request.slots["o"])
            )
            messages += [returned(content), call("Edit", edit_arguments(request))]
        on_edit = called(messages[-1]) == "Edit"
        failed = failures.of_edit(request) if on_edit else failures.draw(request, called(calling))
        return Case(failed.kind, [*messages, returned(failed.result)], tools, [say(failed.answer)])

    def _served(self, tools: list[str], read: set[str]) -> tuple[Request, Message]:
        """A request that a tool can serve, and its first call."""
        while True:
            request = self._source.requests.draw(self._random.choice(TOOL_KINDS))
            if calling := first_call(request, tools, read):
                return request, calling

    def _title(self) -> Case:
        strings = self._source.strings
        request = self._source.requests.draw(self._random.choice((*FREE_KINDS, *TOOL_KINDS)))
        messages = [
            {"role": "system", "content": noise.title_system_text(strings)},
            {"role": "user", "content": noise.title_request(strings, request.text)},
        ]
        text = answers.title(title_of(request))
        return Case("title", messages, [], [{"role": "assistant", "content": text}])

    def _opening(self) -> list[Message]:
        sentences = self._random.choice((0, 1, 3, 8))
        if not sentences:
            return []
        return [{"role": "system", "content": noise.system_text(self._source.strings, sentences)}]


class Model:
    """Answers conversations greedily, several at once."""

    def __init__(self, folder: Path) -> None:
        self._model = mlx_lm.load(str(folder))[0]
        self._tokenizer = load_tokenizer(folder).tokenizer
        self._family = detected_family(template_of(self._tokenizer), self._tokenizer.get_vocab())

    def answers(self, cases: Sequence[Conversation]) -> Iterator[Message]:
        """The model's next message in each conversation; text that is not a readable call stays text.

        Those with prompts of about one length are answered together: the shorter ones of a batch are padded.
        """
        prompts = [self._prompt(case) for case in cases]
        by_length = sorted(range(len(cases)), key=lambda number: len(prompts[number]))
        texts: dict[int, str] = {}
        for start in range(0, len(cases), _BATCH):
            some = by_length[start : start + _BATCH]
            asked = [prompts[number] for number in some]
            answered = batch_generate(self._model, self._tokenizer, asked, max_tokens=_MAX_TOKENS).texts
            texts.update(zip(some, answered, strict=True))
        for number, case in enumerate(cases):
            yield self._message(texts[number], case.tools)

    def _prompt(self, case: Conversation) -> list[int]:
        ids: list[int] = self._tokenizer.apply_chat_template(
            case.messages,
            tools=_offered(case.tools) or None,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=False,
        )
        return ids

    def _message(self, text: str, tools: list[str]) -> Message:
        family = self._family
        if family is None or not text.startswith(family.openings[0]):
            return {"role": "assistant", "content": text}
        reader = family.reader(family.openings[0], tool_schemas(_offered(tools)))
        pieces = reader.feed(text.removeprefix(family.openings[0]))
        if not reader.over:
            pieces += reader.close()
        for piece in pieces:
            if isinstance(piece, CallEnd):
                return call(piece.name, json.loads(piece.arguments))
        return {"role": "assistant", "content": text}


def _offered(tools: Sequence[str]) -> list[dict[str, Any]]:
    """Tools with the parameters of the known ones."""

    def schema(name: str) -> dict[str, Any]:
        properties = {key: {"type": kind} for key, kind in _PARAMETERS.get(name, {}).items()}
        return {"type": "object", "properties": properties}

    return [{"type": "function", "function": {"name": name, "parameters": schema(name)}} for name in tools]


@dataclass
class Part:
    """The result of one part."""

    name: str
    right: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, Case, Message]] = field(default_factory=list)

    def count(self, case: Case, right: bool, got: Message) -> None:
        """Add one case."""
        self.asked[case.kind] += 1
        self.right += right
        if not right:
            self.failures.append((case.kind, case, got))

    @property
    def share(self) -> float:
        """The share of right cases, 0 to 1."""
        return self.right / max(1, self.asked.total())

    def report(self, shown: int) -> None:
        """Print the result, the failures by kind, and some of them."""
        verdict = "" if self.share >= GOALS[self.name] else f"  MISSED: the goal is {GOALS[self.name]:.0%}"
        print(f"{self.name}: {self.right} of {self.asked.total()} right, {self.share:.1%}{verdict}")
        wrong = Counter(kind for kind, _, _ in self.failures)
        for kind, count in sorted(wrong.items()):
            print(f"  {kind}: {count} of {self.asked[kind]} wrong")
        for kind, case, got in self.failures[:shown]:
            asked = next(message for message in reversed(case.messages) if message["role"] == "user")
            print(f"    {kind} {asked['content']!r}\n      wanted {_short(case.expected[0])}")
            print(f"      got    {_short(got)}")


def _short(message: Message) -> str:
    calls = message.get("tool_calls")
    text = repr(message["content"]) if not calls else json.dumps(calls[0]["function"], ensure_ascii=False)
    return text if len(text) <= 300 else text[:299] + "…"


def examine(model: Model, seed: int, scale: float = 1.0) -> list[Part]:
    """Run all parts; `scale` reduces the number of cases."""
    examination = Examination(seed)
    singles = Part("single requests")
    _ask(model, singles, [examination.single() for _ in range(int(SINGLES * scale))])
    two_steps = Part("two-step tasks")
    _follow(model, two_steps, [examination.two_step() for _ in range(int(TWO_STEPS * scale))])
    free = Part("free questions")
    _ask(model, free, [examination.free() for _ in range(int(FREE * scale))])
    failures = Part("failures")
    _ask(model, failures, [examination.failure() for _ in range(int(FAILURES * scale))])
    return [singles, two_steps, free, failures]


def _ask(model: Model, part: Part, cases: list[Case]) -> None:
    got = model.answers([Conversation(case.messages, case.tools) for case in cases])
    for case, message in tqdm(zip(cases, got, strict=True), part.name, len(cases), leave=False):
        part.count(case, message in case.expected, message)


def _follow(model: Model, part: Part, cases: list[Case]) -> None:
    """Every message of the model in a task must be right; the results are generated in advance."""
    going = list(cases)
    while going:
        got = list(model.answers([Conversation(case.messages, case.tools) for case in going]))
        following = []
        for case, message in zip(going, got, strict=True):
            if message not in case.expected or not case.rest:
                part.count(case, message in case.expected, message)
                continue
            result, expected, *rest = case.rest
            so_far = [*case.messages, message, result]
            following.append(Case(case.kind, so_far, case.tools, [expected], rest))
        going = following


def _with_fast_blas() -> None:
    """Restart this program with the engine's BLAS, unless it already uses it."""
    environment, _ = engine_environment(os.environ)
    if environment.get("LD_PRELOAD") != os.environ.get("LD_PRELOAD"):
        os.execve(sys.executable, sys.orig_argv, environment)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `python -m training.evaluation`."""
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", type=Path, default=FOLDER, help="model folder (default: the bundled one)")
    parser.add_argument("--seed", type=int, default=20_000)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the cases to ask")
    parser.add_argument("--show", type=int, default=5, help="failures to print for each part")
    chosen = parser.parse_args(arguments)
    if arguments is None:
        _with_fast_blas()
    parts = examine(Model(chosen.model), chosen.seed, chosen.scale)
    for part in parts:
        part.report(chosen.show)
    return 0 if all(part.share >= GOALS[part.name] for part in parts) else 1


if __name__ == "__main__":
    sys.exit(main())

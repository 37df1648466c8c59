"""A random model calls the real client's tools: under its grammar, and with broken text without one.

For each family a random model writes calls at temperature 1 under the grammar of Claude Code's own tools,
recorded in this run. Each must be read as one call that fits its schema. Then each text is broken by a few
random edits and read as without a grammar: the result must be a call that fits, or text that the client sees,
and no character may be lost.

The model sometimes prefers the end of a text, since its texts would otherwise not end.
"""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figure import Figure, Peer
from bench.grammar_cost import claude_tools
from engine.answers.pieces import AnswerStyle, Call, Text, Thinking
from engine.tool_calls.families.registry import FAMILIES
from engine.tool_calls.reading.family import Family
from engine.tool_calls.schemas.tools import ToolSchemas, tool_schemas

CALLS = 1_000
_SLOTS, _MOST_TOKENS = 8, 1_500
_HASTE, _LIKING = 0.1, 30.0  # the probability of beginning a text's end, and the bias for its tokens


def measure(folder: Path, *, quick: bool = False) -> list[Figure]:
    """Both figures."""
    from bench.random_model import bench_shape, build_random_model
    from engine.models.loading import load_model

    tools = tool_schemas(claude_tools(folder))
    loaded = load_model(build_random_model(folder / "model", "qwen3", bench_shape(quick), eos_every=None))
    families = FAMILIES[::12] if quick else FAMILIES
    wanted = 1 if quick else -(-CALLS // len(families))
    writer = _Writer(loaded)
    made = [(family, text) for family in families for text in writer.texts(family, tools, wanted)]
    constrained = [_outcome(family, text, tools, constrained=True) for family, text in made]
    for (family, text), outcome in zip(made, constrained, strict=True):
        if outcome != "call":
            print(f"random_calls: {family.name}, {outcome}: {text!r}", file=sys.stderr)
    chance = random.Random(1)
    broken = [(family, _broken(text, chance)) for family, text in made]
    loose = [_outcome(family, text, tools, constrained=False) for family, text in broken]
    for (family, text), outcome in zip(broken, loose, strict=True):
        if outcome == "lost":
            print(f"random_calls: {family.name}, broken and {outcome}: {text!r}", file=sys.stderr)
    return [
        _figure("calls under a grammar that fit", constrained.count("call"), "calls made", len(constrained)),
        _figure(
            "broken calls that fit or are seen as text",
            len(loose) - loose.count("lost"),
            "broken",
            len(loose),
        ),
        _figure("broken calls that fit", loose.count("call"), "broken", len(loose), None),
    ]


def _figure(metric: str, count: int, peer: str, total: int, target: float | None = 1.0) -> Figure:
    return Figure(
        bench="random_calls",
        metric=metric,
        unit="calls",
        value=count,
        peer=Peer(peer, total),
        ratio=count / total,
        target=target,
        bound="at least",
        on="ratio",
        runs=1,
    )


class _Writer:
    """A random model that writes calls under grammars."""

    def __init__(self, loaded: Any) -> None:
        from engine.constrained.grammar import Grammars, token_bytes

        self._loaded = loaded
        self._grammars = Grammars(loaded.tokenizer, loaded.eos_token_ids)
        self._tokens = token_bytes(loaded.tokenizer)

    def texts(self, family: Family, tools: ToolSchemas, count: int) -> Iterator[str]:
        """Texts of whole calls under the family's grammar, several written at once."""
        import mlx.core as mx
        from mlx_lm.models.cache import make_prompt_cache
        from mlx_lm.sample_utils import make_sampler

        from engine.constrained.answer_grammar import AnswerRules
        from engine.scheduling.batch import DecodeBatch, Slot

        loaded = self._loaded
        # Any tool, then each tool alone: by itself the model prefers a few.
        sets = [chosen for tool in tools.values() for chosen in (tuple(tools.values()), (tool,))]
        rules = (AnswerRules(family=family, tools=some, choice="required", parallel=False) for some in sets)
        compiled = itertools.cycle(self._grammars.compile(one) for one in rules)
        hasty = _EndingBias(self._tokens, _endings(family, tools), random.Random(family.name))
        mx.random.seed(len(family.name))
        batch = DecodeBatch(loaded.model)
        made = 0
        while made < count:
            while len(batch.slots) < min(_SLOTS, 2 * count):
                slot = Slot([], make_sampler(1.0), [hasty], next(compiled).guide())
                batch.join(slot, make_prompt_cache(loaded.model), loaded.tokenizer.encode("\n")[0])
            for slot, token in zip(list(batch.slots), batch.step(), strict=True):
                ended = token in loaded.eos_token_ids
                written = slot.tokens[1 : -1 if ended else None]
                if ended and made < count:
                    made += 1
                    yield str(loaded.tokenizer.decode(written))
                if ended or len(written) >= _MOST_TOKENS:
                    batch.leave(slot)


def _endings(family: Family, tools: ToolSchemas) -> list[bytes]:
    """What follows a text in a call of this family, at its end and before the next argument."""
    name = next(name for name in tools if len(tools[name].properties) > 1)
    first, second = list(tools[name].properties)[:2]
    one = family.write([(name, {first: "@@"})], tools)
    two = family.write([(name, {first: "@@", second: "@@"})], tools)
    last = one.partition("@@")[2]
    return [text.encode() for text in {last, two.split("@@")[1].partition(second)[0] or last}]


@dataclass
class _EndingBias:
    """A logits processor that sometimes begins one of `endings`, and always completes it."""

    tokens: list[bytes]
    endings: Sequence[bytes]
    chance: random.Random

    def __post_init__(self) -> None:
        self._ids = {text: number for number, text in enumerate(self.tokens) if text}

    def __call__(self, tokens: Any, logits: Any) -> Any:
        import mlx.core as mx

        tail = b"".join(self.tokens[token] for token in tokens[-24:].tolist())
        liked: set[int] = set()
        for ending in self.endings:
            begun = next((n for n in range(len(ending) - 1, 0, -1) if tail.endswith(ending[:n])), 0)
            if begun or self.chance.random() < _HASTE:
                rest = ending[begun:]
                starts = (rest[:size] for size in range(1, len(rest) + 1))
                liked |= {self._ids[start] for start in starts if start in self._ids}
        return logits.at[:, mx.array(sorted(liked))].add(_LIKING) if liked else logits


def _broken(text: str, chance: random.Random) -> str:
    """The text with one to three characters removed, doubled, exchanged or added."""
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(max(1, len(text)))
        match chance.randrange(4):
            case 0:
                text = text[:at] + text[at + 1 :]
            case 1:
                text = text[:at] + text[at : at + 1] + text[at:]
            case 2:
                text = text[:at] + chance.choice("\"'{}[],:\\\n<>/") + text[at + 1 :]
            case _:
                text = text[:at] + chance.choice("\"'{}[],:\\\n<>/") + text[at:]
    return text


def _outcome(family: Family, text: str, tools: ToolSchemas, *, constrained: bool) -> str:
    """`call`, `text`, or `lost` if a part of the text is in neither."""
    from bench.tool_parsers import Letters
    from engine.answers.reader import AnswerText

    constrained_names = frozenset(tools) if constrained else frozenset[str]()
    style = AnswerStyle(
        family=family,
        tools=tools,
        constrained=constrained_names,
        all_constrained=constrained,
        drop=family.layout,
    )
    reader = AnswerText(Letters(text), style)
    pieces = [piece for number in range(len(text)) for piece in reader.add(number)] + reader.finish()
    calls = [piece for piece in pieces if isinstance(piece, Call)]
    seen = "".join(piece.text for piece in pieces if isinstance(piece, Text | Thinking))
    if any(not tools.judge(call.name, call.arguments).usable for call in calls):
        return "lost"
    if calls:
        return "call"
    whole = text
    for mark in family.layout:
        whole, seen = whole.replace(mark, ""), seen.replace(mark, "")
    return "text" if "".join(seen.split()) == "".join(whole.split()) else "lost"

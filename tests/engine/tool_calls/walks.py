"""A random model under a grammar: it picks at random among the allowed tokens."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

import llguidance
import llguidance.numpy
import numpy as np

from engine.constrained.grammar import LIMITS
from engine.tool_calls.reading.family import Family
from engine.tool_calls.schemas.tools import ToolSchema

_PATIENCE = 150  # tokens; after these the walk prefers closing tokens


class ByteTokenizer:
    """One token a byte, some tokens of several bytes, and one that ends the answer; for llguidance."""

    def __init__(self, words: Sequence[str]) -> None:
        self.tokens = [bytes([byte]) for byte in range(256)] + [word.encode() for word in words] + [b"<eos>"]
        self.eos_token_id = len(self.tokens) - 1
        self.bos_token_id = None
        self.special_token_ids = [self.eos_token_id]
        longest_first = sorted(self.tokens[256:-1], key=len, reverse=True)
        self._longest = re.compile(b"|".join([*map(re.escape, longest_first), b"."]), re.DOTALL)
        self._numbers = {token: number for number, token in reversed([*enumerate(self.tokens[:-1])])}

    def __call__(self, text: str | bytes) -> list[int]:
        """The longest token at each position: llguidance allows no other where only one text can follow."""
        written = text if isinstance(text, bytes) else text.encode()
        return [self._numbers[token] for token in self._longest.findall(written)]


class RandomModel:
    """`words` are its tokens of several bytes; `closing` are those that close open structure."""

    def __init__(self, words: Sequence[str], closing: Sequence[str]) -> None:
        tokenizer = ByteTokenizer(list(dict.fromkeys([*words, *closing])))
        self._tokens = tokenizer.tokens
        self._eos = tokenizer.eos_token_id
        self.tokenizer = llguidance.LLTokenizer(
            llguidance.TokenizerWrapper(tokenizer), n_vocab=len(self._tokens), eos_token=[self._eos]
        )
        begins = {text[:1].encode() for text in closing}
        ends = {text.encode() for text in closing} | {b'"', b"]", b"}", b"/"} | begins
        # The longest first: of two with a common beginning, it closes more.
        self._marks = sorted((text.encode() for text in closing), key=len, reverse=True)
        self._weights = np.array([1.0] * 256 + [20.0] * (len(self._tokens) - 256))
        self._closing = np.array([token in ends for token in self._tokens])

    def answer(self, grammar: str, opening: str, chance: random.Random, most: int = 2000) -> str:
        """An answer that begins with `opening`, up to the token that ends it."""
        matcher = llguidance.LLMatcher(self.tokenizer, grammar, limits=LIMITS)
        assert not matcher.is_error(), matcher.get_error()
        written = list(opening.encode())
        assert matcher.consume_tokens(written)
        mask = llguidance.numpy.allocate_token_bitmask(1, len(self._tokens))
        for step in range(most):
            llguidance.numpy.fill_next_token_bitmask(matcher, mask, 0)
            assert not matcher.is_error(), matcher.get_error()[:500]
            allowed = np.unpackbits(mask[0].view(np.uint8), bitorder="little")[: len(self._tokens)]
            # Then all closing tokens are equally likely: a mark within a string closes nothing, a quote does.
            hurry = max(0, step - _PATIENCE)
            closing = 100 * hurry**2 if hurry else 4 * self._weights
            weights = allowed * np.where(self._closing, closing, self._weights)
            if hurry and (begun := self._next_byte_out(written)) is not None and allowed[begun]:
                weights[begun] = 100 * hurry**2
            if not weights.any():
                break
            if allowed[self._eos]:
                # In text, marks would be rare: choose the end, another call, or a letter.
                match chance.randrange(4):
                    case 0 if not hurry:
                        written += list(opening.encode())
                        assert matcher.consume_tokens(list(opening.encode()))
                        continue
                    case 1:
                        weights[256:] = 0
                    case _:
                        return b"".join(self._tokens[number] for number in written).decode()
            token = chance.choices(range(len(self._tokens)), weights.tolist())[0]
            assert matcher.consume_token(token), matcher.get_error()
            written.append(token)
        text = b"".join(self._tokens[number] for number in written).decode(errors="replace")
        raise AssertionError(f"no end: {text[-300:]!r}")

    def _next_byte_out(self, written: Sequence[int]) -> int | None:
        """The byte that continues a closing mark begun in `written`; None behind a complete one."""
        text = b"".join(self._tokens[number] for number in written[-40:])
        for mark in self._marks:
            for length in range(len(mark) - 1, 0, -1):
                if text.endswith(mark[:length]):
                    return mark[length]
        return None


def answer_grammar(family: Family, tools: Sequence[ToolSchema]) -> str:
    """Text and calls in any order, like the engine's grammar."""
    openings = [
        f"open{number}[lazy]: TEXT {json.dumps(mark, ensure_ascii=False)}"
        for number, mark in enumerate(family.openings)
    ]
    sections = " | ".join(f"open{number} calls" for number in range(len(family.openings)))
    rules = ["start: calls_section* TEXT", "TEXT: /(?s:.*)/", *openings, f"calls_section: {sections}"]
    return "\n".join([*rules, family.grammar(tools, json_rule)])


def json_rule(tool: ToolSchema, part: Mapping[str, Any] | None = None) -> str:
    """Arguments as JSON, without optional space."""
    schema = part if part is not None else {"type": "object"} | tool.parameters
    return f"%json {json.dumps({**schema, 'x-guidance': {'whitespace_flexible': False}})}"

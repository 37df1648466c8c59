"""Constrained decoding of answers, by llguidance.

A `Grammars` belongs to one tokenizer. It compiles each `AnswerRules` once and caches it, so that the tools of
a session, the same in each turn, cost nothing from the second request on. An `AnswerGuide` follows one
answer: it takes each token and computes which tokens may come next.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import llguidance
import numpy as np
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

from engine.constrained.answer_grammar import AnswerRules, Relaxation, grammar_text, rules_by_schema

_log = logging.getLogger(__name__)

_CACHED = 64
# Above llguidance's defaults: a long enumeration, or a text of limited length, must stay constrained.
LIMITS = llguidance.LLParserLimits(max_items_in_row=50_000, max_lexer_states=1_000_000)
_RELAXED = "the grammar cannot express this schema"


class GrammarUnavailable(RuntimeError):
    """This tokenizer does not support constrained decoding; raised by `Grammars`. The message says why."""


class CompiledGrammar:
    """A compiled grammar; `relaxed` says for each tool why its schema is not fully enforced."""

    def __init__(self, matcher: Any, relaxed: dict[str, str], vocabulary: Any) -> None:
        self.relaxed = relaxed
        self._matcher = matcher
        self._vocabulary = vocabulary

    def guide(self, generated: Sequence[int] = ()) -> AnswerGuide:
        """A guide for one answer that begins with `generated`."""
        guide = AnswerGuide(self._matcher.deep_copy(), self._vocabulary)
        for token in generated:
            guide.advance(token)
        return guide


class AnswerGuide:
    """Computes which tokens an answer may continue with; for one thread at a time."""

    def __init__(self, matcher: Any, vocabulary: Any) -> None:
        self.failure = ""  # why the answer is no longer constrained
        self.vocab_size: int = vocabulary.vocab_size
        self._matcher = matcher
        self._ends = frozenset(vocabulary.eos_tokens)
        self._tokens = 0  # taken by the matcher
        self._passed_over = 0  # behind them, where nothing more may follow
        self.capped_thought = 0  # a grammar has no cap on thinking

    @property
    def over(self) -> bool:
        """Whether any token is allowed from here on, for good."""
        return bool(self.failure)

    def advance(self, token: int) -> None:
        """Take the next token of the answer."""
        if self.failure:
            return
        ended = token in self._ends and not self._matcher.is_accepting()  # the answer ended at its limit
        if ended or self._passed_over or self._matcher.is_stopped():
            self._passed_over += 1
        elif self._matcher.consume_token(token):
            self._tokens += 1
        else:
            self._give_up()

    def rewind(self, tokens: int) -> None:
        """Take back the last `tokens` tokens."""
        unseen = min(tokens, self._passed_over)
        self._passed_over -= unseen
        tokens = min(tokens - unseen, self._tokens)
        if not self.failure and tokens:
            self._tokens -= tokens
            if not self._matcher.rollback(tokens):
                self._give_up()

    def fill(self, mask: Any) -> bool:
        """Write the allowed next tokens into a row of bits; false if any token is allowed.

        `mask` has the shape (1, ceil(vocab_size / 32)) and the type int32.
        """
        if self.failure:
            return False
        fill_next_token_bitmask(self._matcher, mask)
        if self._matcher.is_error():
            self._give_up()
            return False
        return True

    def _give_up(self) -> None:
        error = self._matcher.get_error() or "the grammar does not allow the last token"
        self.failure = error.splitlines()[
            0
        ]  # the other lines have the state, the grammar and the model's text
        _log.warning("the answer is no longer constrained by its grammar: %s", self.failure)


class Grammars:
    """Compiles and caches the grammars of one model; for any thread."""

    def __init__(self, tokenizer: Any, eos: Iterable[int]) -> None:
        """`tokenizer` is mlx-lm's wrapper, `eos` are the tokens that end an answer.

        Raises:
            GrammarUnavailable: the bytes of its tokens are unknown.
        """
        self.spelling = token_bytes(tokenizer)
        self._vocabulary = _vocabulary(self.spelling, sorted(eos))
        self._cache: OrderedDict[bytes, CompiledGrammar] = OrderedDict()
        self._lock = threading.Lock()

    def compile(self, rules: AnswerRules) -> CompiledGrammar:
        """The grammar for `rules`; cached.

        Raises:
            GrammarUnavailable: it does not compile even without its schemas.
        """
        text = grammar_text(rules)
        key = hashlib.blake2b(text.encode(), digest_size=16).digest()
        with self._lock:
            found = self._cache.get(key)
            if found is None:
                found = self._cache[key] = self._compiled(rules, text)
                if len(self._cache) > _CACHED:
                    self._cache.popitem(last=False)
            else:
                self._cache.move_to_end(key)
            return found

    def _compiled(self, rules: AnswerRules, text: str) -> CompiledGrammar:
        matcher, fault = self._matcher(text)
        relaxed: dict[str, str] = {}
        if fault:
            relaxation: dict[str, Relaxation] = {}
            for name, alone in rules_by_schema(rules):
                own_fault = self._matcher(grammar_text(alone))[1]
                if own_fault:
                    lenient_fault = self._matcher(grammar_text(alone, {name: "lenient"}))[1]
                    relaxation[name] = "any" if lenient_fault else "lenient"
                    relaxed[name] = f"{_RELAXED}: {own_fault}"
            matcher, fault = self._matcher(grammar_text(rules, relaxation))
        if fault:
            raise GrammarUnavailable(f"the tools cannot be expressed as a grammar: {fault}")
        return CompiledGrammar(matcher, relaxed, self._vocabulary)

    def _matcher(self, text: str) -> tuple[Any, str]:
        """A matcher, and the error in its grammar."""
        lark = llguidance.LLMatcher.grammar_from_lark(text)
        matcher = llguidance.LLMatcher(self._vocabulary, lark, log_level=0, limits=LIMITS)
        return matcher, _cause(matcher.get_error()) if matcher.is_error() else ""


class _Fills(Protocol):
    vocab_size: int

    def fill(self, mask: Any) -> bool: ...


def token_masks(guides: Sequence[_Fills | None], width: int) -> Any | None:
    """Which tokens may follow: booleans of shape (guides, width), or None where each row allows any.

    `width` is that of the model's logits; padded models have more of them than their tokenizer has tokens.
    """
    size = max((guide.vocab_size for guide in guides if guide is not None), default=0)
    bits = allocate_token_bitmask(len(guides), size)
    bounded = [guide is not None and guide.fill(bits[row : row + 1]) for row, guide in enumerate(guides)]
    if not any(bounded):
        return None
    masks = np.zeros((len(guides), width), np.bool_)
    known = min(size, width)
    masks[:, :known] = np.unpackbits(bits.view(np.uint8), axis=1, bitorder="little", count=known)
    masks[np.logical_not(bounded)] = True
    return masks


def token_bytes(tokenizer: Any) -> list[bytes]:
    """The bytes of each token; special tokens as their names.

    Raises:
        GrammarUnavailable: the bytes of this kind of tokenizer are unknown.
    """
    tested = getattr(getattr(tokenizer, "_detokenizer", None), "token_bytes", None)
    if tested is not None:  # of `engine.models.detokenizer`
        return list(tested)
    inner = getattr(tokenizer, "_tokenizer", tokenizer)
    backend = getattr(inner, "backend_tokenizer", None)
    if backend is None:
        raise GrammarUnavailable(f"a {type(inner).__name__} does not expose the bytes of its tokens")
    try:
        plain = llguidance.LLTokenizer(backend.to_str())
    except Exception as error:  # llguidance raises for pre-tokenizers and decoders that it does not know
        raise GrammarUnavailable(f"llguidance cannot read this tokenizer: {_cause(str(error))}") from error
    return [plain.decode_bytes([token]) for token in range(plain.vocab_size)]


class _ByteTokens:
    """The tokens for llguidance: plain bytes except for the end tokens, so that marks are ordinary text."""

    def __init__(self, tokens: list[bytes], eos: Sequence[int]) -> None:
        self.tokens = tokens
        self.eos_token_id = eos[0]
        self.bos_token_id = None
        self.special_token_ids = list(eos)

    def __call__(self, text: bytes | str) -> list[int]:
        return []  # llguidance tokenizes only forced tokens, and forcing is off


def _vocabulary(tokens: list[bytes], eos: Sequence[int]) -> Any:
    if not eos:
        raise GrammarUnavailable("the model has no end token")
    size = max(len(tokens), eos[-1] + 1)
    tokens = tokens + [b""] * (size - len(tokens))
    wrapped = llguidance.TokenizerWrapper(_ByteTokens(tokens, eos))
    return llguidance.LLTokenizer(wrapped, n_vocab=size, eos_token=list(eos))


def _cause(error: str) -> str:
    """llguidance's error about a grammar, without its position in generated text."""
    line = error.strip().splitlines()[0] if error.strip() else "unknown"
    return line.rpartition("failed to compile JSON schema: ")[2][:200]

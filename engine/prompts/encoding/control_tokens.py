"""The tokens that structure a prompt, and text that spells them.

A tokenizer searches a text for its added tokens before it splits the rest, whatever their origin. A client's
text must never become one: a file that contains `<|im_end|>` would end the turn that quotes it. So one
character of each such spelling is masked before the chat template sees it: replaced by a stand-in, a single
character. It is restored when the text is tokenized, with the text split behind it
(`engine.prompts.encoding.guarded_encoding`). Unmasked control tokens were written by the template.

Stand-ins are unpaired surrogates: no client can send one, since valid text has none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

from engine.prompts.encoding.text_pattern import longest_of

OWN = "\udfff"
"""Precedes a mark that the engine itself writes into a message, in place of the template."""

_STAND_INS = range(0xDC00, 0xDFFF)
_SURROGATE = re.compile("[\ud800-\udfff]")
_STAND_IN = re.compile("[\udc00-\udffe]")
_ESCAPED = re.compile(r"(?<!\\)\\u(dc[0-9a-f]{2})")  # about fifty are used, from dc00
_BLANKS = " \t\r\n\u2581"  # the last is SentencePiece's blank
_SHORT = 256  # characters; shorter texts recur: names, keys, descriptions

# In Gemma's tokenizers these are ordinary text: no template writes them, and HTML is full of them.
_HTML = re.compile(
    r"</?(?:table|caption|thead|tbody|tfoot|tr|th|td|h[1-6]|blockquote|strong|em|b|i|u|s|sub|sup|code)>"
)


class ControlTokens:
    """The added tokens of a tokenizer that a client's text must not become, and the masking of such text."""

    def __init__(self, numbers: Mapping[str, int], template: str | None) -> None:
        """`numbers` are ids by text; `template` is the chat template's source, None if unknown."""
        self.numbers = dict(numbers)
        self.ids = frozenset(numbers.values())
        self.pattern = longest_of(numbers)
        self._template = template
        self._longest = max(map(len, numbers), default=0)
        self._firsts = sorted({text[0] for text in numbers})
        self._lasts = sorted({text[-1] for text in numbers})
        self._beginnings = {text[:size] for text in numbers for size in range(1, len(text))}
        self._endings = {text[size:] for text in numbers for size in range(1, len(text))}
        self._joined = "\0".join(numbers)
        letters = set("".join(numbers))
        others = {form for letter in letters for form in (letter.lower(), letter.upper()) if len(form) == 1}
        alphabet = [*sorted(letters), *sorted(others - letters)][: len(_STAND_INS)]
        self._stand_ins = dict(zip(alphabet, map(chr, _STAND_INS), strict=False))
        self._characters = {stand_in: character for character, stand_in in self._stand_ins.items()}
        self._masked_short = lru_cache(1 << 14)(self._masked)
        self._edges_short = lru_cache(1 << 14)(self._edges)

    def foremost(self) -> list[str]:
        """The tokens' texts, those in the template first."""
        template = self._template or ""
        return sorted(self.numbers, key=lambda text: text not in template)

    def masked(self, text: str) -> str:
        """A client's text with one character of each token's spelling masked.

        Marks behind an `OWN` are kept, and the `OWN` is removed.
        """
        return self._around_own(text, self._masked_short if len(text) <= _SHORT else self._masked)

    def may_join(self, text: str) -> bool:
        """Whether an end of a client's text may form a token with its neighbours."""
        return bool(self._edges_short(text) if len(text) <= _SHORT else self._edges(text))

    def masked_throughout(self, text: str) -> str:
        """A client's text of which no part can be part of a token, whatever a template does to it."""
        return self._around_own(text, self._masked_throughout)

    def clear(self, text: str) -> str:
        """The text with every stand-in replaced by its character; the length is unchanged."""
        if _is_valid(text):
            return text
        return _STAND_IN.sub(lambda found: self._characters.get(found[0], found[0]), text)

    def parts(self, text: str) -> list[str]:
        """The cleared text, split within each spelling of a token that has a stand-in.

        The positions depend only on the spellings, not on what else is masked.
        """
        if _is_valid(text):
            return [text] if text else []
        clear = self.clear(text)
        stand_ins = (found.start() for found in _STAND_IN.finditer(text))
        splits = sorted({split for place in stand_ins for split in self._splits(clear, place)})
        return [clear[start:end] for start, end in zip([0, *splits], [*splits, len(clear)], strict=True)]

    def unescaped(self, text: str) -> str:
        r"""The text with stand-ins restored that a template wrote as `\udc12`, as ASCII JSON does."""

        def stand_in(found: re.Match[str]) -> str:
            character = chr(int(found[1], 16))
            return character if character in self._characters else found[0]

        return _ESCAPED.sub(stand_in, text)

    def _splits(self, text: str, place: int) -> Iterator[int]:
        """Where to split the tokens whose spelling includes the character at `place`."""
        for start in range(max(0, place - self._longest + 1), place + 1):
            found = self.pattern.match(text, start)
            if found and found.end() > place:
                yield start + self._first_part(text, start)

    def _first_part(self, text: str, start: int) -> int:
        """The length of a token's spelling before its split; templates test the first character."""
        return 1 if any(text[start : start + size] in self.numbers for size in (1, 2)) else 2

    def _around_own(self, text: str, mask: Callable[[str], str]) -> str:
        if _is_valid(text):
            return mask(text)
        first, *others = text.split(OWN)
        masked = [mask(_SURROGATE.sub("\ufffd", first))]
        for part in others:
            mark = self.pattern.match(part)
            end = mark.end() if mark else 0
            masked += [part[:end], mask(_SURROGATE.sub("\ufffd", part[end:]))]
        return "".join(masked)

    def _masked(self, text: str) -> str:
        spellings = self._spellings(text)
        return self._with_stand_ins(text, {start + self._first_part(text, start) - 1 for start in spellings})

    def _masked_throughout(self, text: str) -> str:
        edges = (self._edges(form) for form in {text, _recased(text, str.lower), _recased(text, str.upper)})
        text = self._with_stand_ins(self._masked(text), set().union(*edges))
        for first in self._firsts:
            if not first.isalnum() and not first.isspace():
                text = text.replace(first, self._stand_ins.get(first, first))
        return text

    def _with_stand_ins(self, text: str, places: Collection[int]) -> str:
        if not places:
            return text
        characters = list(text)
        for place in places:
            while text[place : place + 1].isspace():  # a template may strip or test blanks
                place += 1
            if place < len(text):
                characters[place] = self._stand_ins.get(characters[place], characters[place])
        return "".join(characters)

    def _spellings(self, text: str) -> list[int]:
        """The positions where a token is spelled, also within another one."""
        places = []
        if any(first in text for first in self._firsts):
            found = self.pattern.search(text)
            while found:
                places.append(found.start())
                found = self.pattern.search(text, found.start() + 1)
        return places

    def _edges(self, text: str) -> set[int]:
        """The positions at both ends of the text that may be part of a token."""
        return self._ends(text) | self._starts(text)

    def _ends(self, text: str) -> set[int]:
        """The positions from which the text's end begins a token; templates may strip blanks behind it."""
        places: set[int] = set()
        for end in {len(text), len(text.rstrip())}:
            tail = text[max(0, end - self._longest + 1) : end]
            if any(first in tail for first in self._firsts):
                places |= {end - size for size in range(1, len(tail) + 1) if tail[-size:] in self._beginnings}
        return places

    def _starts(self, text: str) -> set[int]:
        """The first character, if the text may complete a token that the template began."""
        places: set[int] = set()
        for start in {0, len(text) - len(text.lstrip())}:
            beginning = text[start : start + self._longest - 1]
            ends = any(last in beginning for last in self._lasts)
            if ends and any(beginning[:size] in self._endings for size in range(1, len(beginning) + 1)):
                places.add(start)
        inner = text.strip() if len(text) < self._longest else ""
        if inner and self._may_be_within(inner):
            places.add(text.index(inner))
        return places

    def _may_be_within(self, text: str) -> bool:
        """Whether the text may be the inside of a token that the template begins before content."""
        if text not in self._joined:
            return False
        for token in self.numbers:
            at = token.find(text, 1)
            while at > 0:
                if self._is_put_before_text(token[:at]):
                    return True
                at = token.find(text, at + 1)
        return False

    def _is_put_before_text(self, beginning: str) -> bool:
        """Whether the template writes this before something else: `'<' + name` or `<{{ name }}`."""
        if self._template is None:
            return True
        return re.search(re.escape(beginning) + r"""(?:['"]|\s*\{[{%])""", self._template) is not None


def control_tokens(tokenizer: Any, template: str | None) -> ControlTokens:
    """All added tokens of a tokenizer except those of ordinary text: blanks, words, signs, HTML elements."""
    added: dict[int, Any] = getattr(tokenizer, "added_tokens_decoder", None) or {}
    numbers = {
        str(token.content): number
        for number, token in added.items()
        if _structures(str(token.content), bool(token.special), template or "")
    }
    special = zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=False)
    numbers |= {str(text): number for text, number in special if _structures(str(text), True, "")}
    return ControlTokens(numbers, template)


def _is_valid(text: str) -> bool:
    """Whether a text has no surrogates; much faster than a search for one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _recased(text: str, change: Callable[[str], str]) -> str:
    """The text in one case, of the same length."""
    changed = change(text)
    if len(changed) == len(text):
        return changed
    return "".join(change(letter) if len(change(letter)) == 1 else letter for letter in text)


def _structures(text: str, special: bool, template: str) -> bool:
    if not text.strip(_BLANKS):
        return False
    if special:
        return True
    if len(text) == 1 or all(character.isalnum() or character in _BLANKS for character in text):
        return False
    return text in template or not _HTML.fullmatch(text)


def special_tokens(tokenizer: Any) -> tuple[frozenset[int], dict[int, str]]:
    """The special tokens of a tokenizer, and the texts of all its added tokens."""
    added = getattr(tokenizer, "added_tokens_decoder", None) or {}
    marked = {number for number, token in added.items() if token.special}
    texts = {number: str(token.content) for number, token in added.items()}
    return frozenset(marked | set(tokenizer.all_special_ids)), texts

"""The tokens that structure a prompt, and text that spells them without being them.

A tokenizer looks for its added tokens in a text before it splits the rest, wherever they come from. What a
client sends must never become one: a file that holds `<|im_end|>` would end the turn that shows it. So a
character of each such spelling in a client's text is masked before the chat template sees it: replaced by a
stand-in, one character for one, that is put back where the text is tokenized, cut in two behind it
(`engine.prompts.encoding.guarded_encoding`). What is not masked was written by the template.

Stand-ins are lone surrogates: no client can send one, since none is in any valid text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

from engine.prompts.encoding.text_pattern import longest_of

OWN = "\udfff"
"""Stands before a mark that the engine itself writes into a message, where it plays the template's part."""

_STAND_INS = range(0xDC00, 0xDFFF)
_SURROGATE = re.compile("[\ud800-\udfff]")
_STAND_IN = re.compile("[\udc00-\udffe]")
_ESCAPED = re.compile(r"(?<!\\)\\u(dc[0-9a-f]{2})")  # there are some fifty, from dc00
_BLANKS = " \t\r\n\u2581"  # the last is SentencePiece's for a blank
_SHORT = 256  # characters; texts up to here come again and again: names, keys, descriptions

# Gemma's tokenizers have these as tokens of ordinary text: no template writes them, all HTML is made of them.
_HTML = re.compile(
    r"</?(?:table|caption|thead|tbody|tfoot|tr|th|td|h[1-6]|blockquote|strong|em|b|i|u|s|sub|sup|code)>"
)


class ControlTokens:
    """The added tokens of a tokenizer that a client's text must not become, and the masking of such text."""

    def __init__(self, numbers: Mapping[str, int], template: str | None) -> None:
        """`numbers` are ids by text; `template` is the chat template's source, None if it is not known."""
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
        """The tokens' texts, those that the template writes before the others."""
        template = self._template or ""
        return sorted(self.numbers, key=lambda text: text not in template)

    def masked(self, text: str) -> str:
        """A client's text with a character of each spelling of a token masked.

        Marks behind an `OWN` stay, and the `OWN` goes.
        """
        return self._around_own(text, self._masked_short if len(text) <= _SHORT else self._masked)

    def may_join(self, text: str) -> bool:
        """Whether an end of a client's text may be part of a token of which its neighbours are the rest."""
        return bool(self._edges_short(text) if len(text) <= _SHORT else self._edges(text))

    def masked_throughout(self, text: str) -> str:
        """A client's text of which no part can be a part of a token, whatever is done to it."""
        return self._around_own(text, self._masked_throughout)

    def clear(self, text: str) -> str:
        """The text with every stand-in replaced by the character that it stands for, as long as before."""
        if _is_valid(text):
            return text
        return _STAND_IN.sub(lambda found: self._characters.get(found[0], found[0]), text)

    def parts(self, text: str) -> list[str]:
        """The text, cleared, cut within each spelling of a token that has a stand-in in it.

        The places depend on the spellings alone, not on what else is masked.
        """
        if _is_valid(text):
            return [text] if text else []
        clear = self.clear(text)
        stand_ins = (found.start() for found in _STAND_IN.finditer(text))
        cuts = sorted({cut for place in stand_ins for cut in self._cuts(clear, place)})
        return [clear[start:end] for start, end in zip([0, *cuts], [*cuts, len(clear)], strict=True)]

    def unescaped(self, text: str) -> str:
        r"""The text with the stand-ins that a template wrote as `\udc12`, as JSON in ASCII has them."""

        def stand_in(found: re.Match[str]) -> str:
            character = chr(int(found[1], 16))
            return character if character in self._characters else found[0]

        return _ESCAPED.sub(stand_in, text)

    def _cuts(self, text: str, place: int) -> Iterator[int]:
        """Where the tokens are cut in whose spelling the character at `place` is."""
        for start in range(max(0, place - self._longest + 1), place + 1):
            found = self.pattern.match(text, start)
            if found and found.end() > place:
                yield start + self._first_part(text, start)

    def _first_part(self, text: str, start: int) -> int:
        """How much of a token's spelling is left of its cut; templates look for the first character."""
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
            while text[place : place + 1].isspace():  # which a template may look for
                place += 1
            if place < len(text):
                characters[place] = self._stand_ins.get(characters[place], characters[place])
        return "".join(characters)

    def _spellings(self, text: str) -> list[int]:
        """Where a token is spelt, also one within another."""
        places = []
        if any(first in text for first in self._firsts):
            found = self.pattern.search(text)
            while found:
                places.append(found.start())
                found = self.pattern.search(text, found.start() + 1)
        return places

    def _edges(self, text: str) -> set[int]:
        """Where an end of the text begins that may be the rest of a token, or its first part."""
        return self._ends(text) | self._starts(text)

    def _ends(self, text: str) -> set[int]:
        """Where an end begins that is the beginning of a token; templates may strip blanks behind it."""
        places: set[int] = set()
        for end in {len(text), len(text.rstrip())}:
            tail = text[max(0, end - self._longest + 1) : end]
            if any(first in tail for first in self._firsts):
                places |= {end - size for size in range(1, len(tail) + 1) if tail[-size:] in self._beginnings}
        return places

    def _starts(self, text: str) -> set[int]:
        """The first character, if what begins there may complete a token that the template began."""
        places: set[int] = set()
        for start in {0, len(text) - len(text.lstrip())}:
            head = text[start : start + self._longest - 1]
            ends = any(last in head for last in self._lasts)
            if ends and any(head[:size] in self._endings for size in range(1, len(head) + 1)):
                places.add(start)
        inner = text.strip() if len(text) < self._longest else ""
        if inner and self._may_be_within(inner):
            places.add(text.index(inner))
        return places

    def _may_be_within(self, text: str) -> bool:
        """Whether this is the inside of a token whose beginning the template puts before some text."""
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
        """Whether the template writes this where something else may follow: `'<' + name` or `<{{ name }}`."""
        if self._template is None:
            return True
        return re.search(re.escape(beginning) + r"""(?:['"]|\s*\{[{%])""", self._template) is not None


def control_tokens(tokenizer: Any, template: str | None) -> ControlTokens:
    """All added tokens of a tokenizer but those of ordinary text: blanks, words, signs, HTML's elements."""
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
    """Whether there is no surrogate in a text; far faster than to look for one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def well_formed(text: str) -> str:
    """The text without halves of characters, which no client can send but in escapes."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _recased(text: str, change: Callable[[str], str]) -> str:
    """The text in letters of one case, as long as before."""
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

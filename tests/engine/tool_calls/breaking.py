"""Ways to break the JSON of a call's arguments, as models, templates and servers do."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

Breaking = Callable[[dict[str, Any], random.Random], str]


def spelled(value: Any, chance: random.Random) -> str:
    style = chance.choice([{"separators": (",", ":")}, {}, {"indent": 2}])
    return json.dumps(value, ensure_ascii=chance.random() < 0.5, **style)


def trailing_comma(value: dict[str, Any], chance: random.Random) -> str:
    return re.sub(r"(?=\}$)", ",", spelled(value, chance))


def pythons_spelling(value: dict[str, Any], chance: random.Random) -> str:
    return repr(value)


def brackets_left_open(value: dict[str, Any], chance: random.Random) -> str:
    text = spelled(value, chance)
    closers = len(text) - len(text.rstrip("]} \n"))
    return text[: len(text) - chance.randint(1, closers)]


def raw_control_characters(value: dict[str, Any], chance: random.Random) -> str:
    text = spelled(value, chance)
    raw = {"\\n": "\n", "\\t": "\t", "\\u0000": "\x00"}
    return re.sub(r"\\(?:u....|.)", lambda found: raw.get(found[0], found[0]), text, flags=re.DOTALL)


def bare_quotes(value: dict[str, Any], chance: random.Random) -> str:
    return re.sub(
        r"\\.", lambda found: '"' if found[0] == '\\"' else found[0], spelled(value, chance), flags=re.DOTALL
    )


def fence_around(value: dict[str, Any], chance: random.Random) -> str:
    text = spelled(value, chance)
    return chance.choice([f"```json\n{text}\n```", f"```\n{text}```", f"These are the arguments: {text}"])


def encoded_twice(value: dict[str, Any], chance: random.Random) -> str:
    text = json.dumps(spelled(value, chance))
    return text if chance.random() < 0.5 else text[1:-1]


def comments(value: dict[str, Any], chance: random.Random) -> str:
    lines = json.dumps(value, indent=1).split("\n")
    lines[chance.randrange(len(lines))] += chance.choice(["  // the path", "  # the path", " /* so */"])
    return "\n".join(lines)


def bare_keys(value: dict[str, Any], chance: random.Random) -> str:
    key = chance.choice(list(value))
    return spelled(value, chance).replace(f'"{key}"', key, 1)


def too_many_brackets(value: dict[str, Any], chance: random.Random) -> str:
    return spelled(value, chance) + chance.choice(["}", "}}", "]}", "\n}"])


def missing_comma(value: dict[str, Any], chance: random.Random) -> str:
    members = [f"{json.dumps(key)}: {json.dumps(part)}" for key, part in value.items()]
    return "{" + " ".join(members) + "}"


def missing_quote(value: dict[str, Any], chance: random.Random) -> str:
    text = spelled(value, chance)
    strings = list(re.finditer(r'"(?:[^"\\]|\\.)*"', text, re.DOTALL))
    string = chance.choice(strings)
    at = chance.choice([string.start(), string.end() - 1])
    return text[:at] + text[at + 1 :]


def twice(value: dict[str, Any], chance: random.Random) -> str:
    text = spelled(value, chance)
    return chance.choice([text + text, "{}" + text])


def lone_backslashes(value: dict[str, Any], chance: random.Random) -> str:
    return re.sub(r"(?<!\\)\\\\(?=[dws.(+* ])", r"\\", spelled(value, chance))


def text_for_types(value: dict[str, Any], chance: random.Random) -> str:
    return json.dumps(
        {
            key: part if isinstance(part, str) else chance.choice([json.dumps, str])(part)
            for key, part in value.items()
        }
    )


WAYS: list[Breaking] = [
    trailing_comma,
    pythons_spelling,
    brackets_left_open,
    raw_control_characters,
    bare_quotes,
    fence_around,
    encoded_twice,
    comments,
    bare_keys,
    too_many_brackets,
    missing_comma,
    missing_quote,
    twice,
    lone_backslashes,
    text_for_types,
]

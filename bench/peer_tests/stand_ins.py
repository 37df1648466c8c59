"""What stands in for the parts of vLLM and SGLang that their parsers import but do not parse with.

Their parsers are imported from a checkout as they are. Everything else of these packages, and packages that
are not installed here, is made up: a class holds what it is given, and a function gives a mock. A tokenizer
has one token for each mark, word and sign, and makes up its ids.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import logging
import re
import sys
import types
import unittest
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import MagicMock

REAL = ("vllm.tool_parsers", "vllm.reasoning", "sglang.srt.function_call", "sglang.srt.parser")
_PACKAGES = ("vllm", "sglang")
_ABSENT = ("torch", "xgrammar", "cohere_melody", "partial_json_parser", "openai_harmony", "mistral_common")
_ids = itertools.count(10**15)


class _Named(type):
    def __getattr__(cls, name: str) -> str:
        """A member of what may be an enumeration."""
        if name.startswith("_"):
            raise AttributeError(name)
        return name


class Holder(metaclass=_Named):
    """Holds what it is given, as a model of pydantic does."""

    def __init__(self, *values: Any, **fields: Any) -> None:
        self.__dict__.update(dict(zip(("role", "content"), values, strict=False)))
        self.__dict__.update({name: _held(name, value) for name, value in fields.items()})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Holder) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    def model_dump(self, **_: Any) -> dict[str, Any]:
        """The fields that were given."""
        return {
            name: value.model_dump() if isinstance(value, Holder) else value
            for name, value in self.__dict__.items()
            if value is not None
        }

    @classmethod
    def model_validate(cls, fields: dict[str, Any]) -> Any:
        return cls(**fields)


class Tool(Holder):
    """A tool of a request."""


class Call(Holder):
    """A call, or a piece of one."""

    generate_random_id: ClassVar[Any]

    def __init__(self, **fields: Any) -> None:
        make: Any = type(self).__dict__.get("generate_random_id")
        number = type(self).generate_random_id() if make else f"chatcmpl-tool-{next(_ids)}"
        super().__init__(**{"type": "function", "id": number, **fields})


class Piece(Holder):
    """A piece of an answer."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(**{"tool_calls": [], **fields})


_CLASSES: dict[str, type] = {
    **dict.fromkeys(("ChatCompletionToolsParam", "Tool"), Tool),
    "ToolCall": Call,
    "DeltaMessage": Piece,
    "CustomTestCase": unittest.TestCase,
}


def _held(name: str, value: Any) -> Any:
    """A field as pydantic would make it of plain objects."""
    made: dict[str, type[Holder]] = {"function": Holder, "tools": Tool, "tool_calls": Call}
    kind = made.get(name)
    if kind is None:
        return value
    if isinstance(value, list):
        return [kind(**one) if isinstance(one, dict) else one for one in value]
    return kind(**value) if isinstance(value, dict) else value


class Tokenizer:
    """One token for each mark, word, number and sign."""

    _PARTS = re.compile(r"</?[^<>\s]{1,60}>|\[/?[A-Z_]{3,40}\]|[^\W\d_]+|\d+|\s+|.", re.DOTALL)

    def __init__(self, lacks: str = "") -> None:
        self._numbers: dict[str, int] = {}
        self._lacks = lacks
        self.vocab = self.get_vocab()
        self.all_special_tokens: list[str] = []
        self.all_special_ids: list[int] = []
        self.is_fast = True
        self.eos_token_id = 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock()

    def number(self, token: str) -> int:
        """The id of a token, made up at its first use."""
        return self._numbers.setdefault(token, len(self._numbers) + 1)

    def tokenize(self, text: str, **_: Any) -> list[str]:
        return self._PARTS.findall(text)

    def encode(self, text: str, *_: Any, **__: Any) -> list[int]:
        return [self.number(token) for token in self.tokenize(text)]

    def decode(self, tokens: Sequence[int] | int, *_: Any, **__: Any) -> str:
        spelled = {number: token for token, number in self._numbers.items()}
        return "".join(spelled.get(token, "") for token in ([tokens] if isinstance(tokens, int) else tokens))

    def get_vocab(self) -> Any:
        number, lacks = self.number, self._lacks

        class Vocabulary(dict[str, int]):
            def __contains__(self, token: object) -> bool:
                return token != lacks

            def __getitem__(self, token: str) -> int:
                return number(token)

            def get(self, token: str, default: Any = None) -> Any:
                return number(token) if token != lacks else default

        return Vocabulary()

    def convert_tokens_to_ids(self, tokens: str | list[str]) -> Any:
        return self.number(tokens) if isinstance(tokens, str) else [self.number(token) for token in tokens]

    def convert_ids_to_tokens(self, numbers: Any, **_: Any) -> Any:
        return self.decode(numbers) if isinstance(numbers, int) else [self.decode(one) for one in numbers]


class MistralTokenizer(Tokenizer):
    """One of Mistral's newer ones."""

    version = 13


def tokenizer(name: str = "", *_: Any, **given: Any) -> Tokenizer:
    """In place of any way to load one."""
    if given.get("tokenizer_mode") == "mistral":
        return MistralTokenizer()
    return Tokenizer(lacks="[ARGS]" if "-Instruct-v0.3" in given.get("tokenizer_name", name) else "")


class _Switch:
    """A variable of the environment that is not set."""

    def __init__(self) -> None:
        self._value: Any = False

    def get(self) -> Any:
        return self._value

    @contextmanager
    def override(self, value: Any) -> Iterator[None]:
        before, self._value = self._value, value
        try:
            yield
        finally:
            self._value = before


class _Switches:
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.__dict__.setdefault(name, _Switch())


def _detokenized(
    tokenizer: Tokenizer, all_input_ids: Sequence[int], prev_tokens: Any, *_: Any, **__: Any
) -> Any:
    """As vLLM's function of that name: new tokens, the last one's text, and where the next call goes on."""
    last, end = tokenizer.decode(all_input_ids[-1]), len(all_input_ids)
    new = [last] if prev_tokens else [tokenizer.decode(one) for one in all_input_ids]
    return new, last, end - 1, end


_FUNCTIONS: dict[str, Any] = {
    "detokenize_incrementally": _detokenized,
    "envs": _Switches(),
    "init_logger": logging.getLogger,
    "get_tokenizer": tokenizer,
    "is_mistral_tokenizer": lambda given: isinstance(given, MistralTokenizer),
    "MistralTokenizer": MistralTokenizer,
    "is_list_of": lambda value, kind, **_: (
        isinstance(value, list) and all(isinstance(one, kind) for one in value)
    ),
    "make_tool_call_id": lambda *_, **__: f"chatcmpl-tool-{next(_ids)}",
    "random_uuid": lambda: f"{next(_ids):032}",
    "register_cpu_ci": lambda *_, **__: None,
}


class _Module(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made: Any
        if name in _CLASSES:
            made = _CLASSES[name]
        elif name in _FUNCTIONS:
            made = _FUNCTIONS[name]
        elif name.strip("_").isupper():
            made = 5 if "TIMEOUT" in name else ()
        elif name[0].isupper():
            made = type(name, (Holder,), {})
        else:
            made = MagicMock()
        setattr(self, name, made)
        return made


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the parsers in the checkout, and stand-ins for the rest."""

    def __init__(self, checkout: Path) -> None:
        self._roots = {"vllm": checkout / "vllm", "sglang": checkout / "python" / "sglang"}
        self._tests = checkout / "tests"
        self._absent = {name for name in _ABSENT if importlib.util.find_spec(name) is None}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name == "tests":
            spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [str(self._tests)]
            return spec
        if name == "tests.utils":
            return importlib.machinery.ModuleSpec(name, self)
        root, *parts = name.split(".")
        if root not in _PACKAGES and root not in self._absent:
            return None
        file = self._roots[root].joinpath(*parts) if root in self._roots else None
        if file is not None and name.startswith(REAL) and self._is_there(file):
            return importlib.machinery.PathFinder.find_spec(name, [str(file.parent)])
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    @staticmethod
    def _is_there(file: Path) -> bool:
        return file.with_suffix(".py").is_file() or file.is_dir()

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing runs: attributes are made when they are asked for."""


def install(checkout: Path) -> None:
    """From here on imports of vLLM and SGLang find the checkout's parsers, and stand-ins."""
    sys.meta_path.insert(0, _Finder(checkout))
    import transformers

    load: Callable[..., Tokenizer] = tokenizer
    transformers.AutoTokenizer.from_pretrained = staticmethod(load)

"""Loads a model's tokenizer with its chat template and a tested detokenizer."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx_lm.utils
from tokenizers import Tokenizer

from engine.model_files.errors import IF_TRUSTED, TokenizerMissing, first_line
from engine.model_files.tokenizer_files import tokenizer_files
from engine.model_files.whole_folder import TOKENIZER_DOCUMENTS, damaged_document
from engine.models.detokenizer import PROBES, select_decoding
from engine.prompts.chat_template import check_template, missing_templates

_SPLITS = (
    *PROBES,
    "def f(a, b):\n        return a  # 12345",
    "x == 1;\n\n\n   HTTPServer's",
    "e\u0301 \ufb01 \u00bd",
)
"""Texts that tokenizers split and normalize differently."""

_MOST_TOKENS = 1 << 31

_PARTS = ("pre_tokenizer", "normalizer", "model")
_RULES = ("ignore_merges", "byte_fallback", "fuse_unk", "unk_token", "dropout")


@dataclass(frozen=True, slots=True)
class LoadedTokenizer:
    """mlx-lm's wrapper, and what is wrong with template and decoder, as sentences; empty for nothing."""

    tokenizer: Any
    template_fault: str
    decoder_fault: str


def load_tokenizer(path: Path, eos: Any = None, trust_remote_code: bool = False) -> LoadedTokenizer:
    """Load the tokenizer in a model's folder; `eos` are end tokens that the model's configuration names.

    With `trust_remote_code` code of the folder may run.

    Raises:
        TokenizerMissing: it cannot be loaded.
    """
    templates = missing_templates(path)
    # Without a value, transformers may prompt on the terminal.
    extra: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    if templates is not None:
        extra["chat_template"] = templates
    eos = _end_tokens(eos)
    try:
        tokenizer = mlx_lm.utils.load_tokenizer(path, extra, eos_token_ids=eos)
    except (Exception, SystemExit) as error:  # a damaged file raises any type, and so does trusted code
        tokenizer = _without_config(path, extra, eos)
        if tokenizer is None:
            raise TokenizerMissing(_why(path, error)) from error
    _encode_as_written(path, tokenizer)
    if not _knows_text(tokenizer):  # so transformers loads a file that it cannot read
        raise TokenizerMissing(
            f"the tokenizer of {path} knows no text: transformers cannot read {tokenizer_files(path)[0]};"
            " take a copy of this model that has a tokenizer.json"
        )
    decoder_fault = select_decoding(tokenizer)
    return LoadedTokenizer(tokenizer, check_template(tokenizer), decoder_fault)


def _knows_text(tokenizer: Any) -> bool:
    try:
        encoded = [tokenizer.encode(text, add_special_tokens=False) for text in PROBES]
    except Exception:  # it has some rules at least
        return True
    return len({token for tokens in encoded for token in tokens}) > 1


def _end_tokens(stated: Any) -> list[int] | None:
    """The ids of end tokens that config.json names; None if it names none, in a form that is one."""
    named = stated if isinstance(stated, list) else [stated]
    return [token for token in named if type(token) is int and 0 <= token < _MOST_TOKENS] or None


def _encode_as_written(path: Path, tokenizer: Any) -> None:
    """Make transformers encode texts as tokenizer.json says, which the model was trained on.

    For some architectures transformers uses the class of their first models, whatever the file says, which
    splits and normalizes texts differently.
    """
    backend = getattr(getattr(tokenizer, "_tokenizer", None), "backend_tokenizer", None)
    try:
        written = Tokenizer.from_file(str(path / "tokenizer.json"))
    except Exception:  # missing, or not readable alone: keep what was loaded
        return
    if backend is None:
        return
    for one in (backend, written):  # the file may have settings of one call; each call sets its own
        one.no_padding()
        one.no_truncation()
    if _encode_alike(backend, written):
        return
    kept = [getattr(backend, part) for part in _PARTS]
    for part in _PARTS:
        setattr(backend, part, getattr(written, part))
    if not _encode_alike(backend, written):  # other parts differ too: keep the original ones
        for part, value in zip(_PARTS, kept, strict=True):
            setattr(backend, part, value)


def _encode_alike(one: Tokenizer, other: Tokenizer) -> bool:
    # These rules affect few words, so that the texts may not show a difference.
    rules = [(type(model), *(getattr(model, rule, None) for rule in _RULES)) for model in _models(one, other)]
    return rules[0] == rules[1] and all(_ids(one, text) == _ids(other, text) for text in _SPLITS)


def _models(*tokenizers: Tokenizer) -> list[Any]:
    return [tokenizer.model for tokenizer in tokenizers]


def _ids(tokenizer: Tokenizer, text: str) -> list[int] | None:
    try:
        return list(tokenizer.encode(text, add_special_tokens=False).ids)
    except Exception:  # for example a model without a token for unknown text
        return None


def _without_config(path: Path, extra: dict[str, Any], eos: Any) -> Any | None:
    """The tokenizer alone, where transformers refuses a config.json that it does not know."""
    with tempfile.TemporaryDirectory(prefix="anyclaude-tokenizer-") as made:
        for file in path.iterdir():
            if file.name != "config.json":
                (Path(made) / file.name).symlink_to(file.absolute())
        try:
            return mlx_lm.utils.load_tokenizer(Path(made), extra, eos_token_ids=eos)
        except (Exception, SystemExit):  # report the first error instead
            return None


def _why(path: Path, error: BaseException) -> str:
    if damaged := damaged_document(path, TOKENIZER_DOCUMENTS):
        return damaged
    file = path / "tokenizer.json"
    if fault := _template_fault(path / "chat_template.jinja"):
        return fault
    if "custom code" in str(error) or (not file.is_file() and _has_own_code(path)):
        return (
            f"the tokenizer of {path} requires code of its own to run; use a copy of this model that has a"
            f" tokenizer.json, or, {IF_TRUSTED}"
        )
    if isinstance(error, ImportError):
        return (
            f"the tokenizer of {path} needs a package that is not installed ({first_line(error)}); install it"
            " beside anyclaude-tui, or use a copy of this model that has a tokenizer.json"
        )
    return (
        f"the tokenizer of {path} cannot be loaded ({first_line(error)}); upgrade transformers, or take"
        " another copy of this model"
    )


def _template_fault(file: Path) -> str:
    try:
        if file.is_file():
            file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        return f"{file} cannot be read ({first_line(error)}); download it again"
    return ""


def _has_own_code(path: Path) -> bool:
    try:
        return "AutoTokenizer" in json.loads((path / "tokenizer_config.json").read_bytes())["auto_map"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False

"""The forms in which a model may write calls: what to look for in its text."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from engine.tool_calls.families.registry import FAMILIES, family_named
from engine.tool_calls.reading.family import Family


@dataclass(frozen=True, slots=True)
class CallForms:
    """`families`: forms with opening marks. `bare_json`: JSON without a mark, if it is the whole answer."""

    families: tuple[Family, ...] = FAMILIES
    bare_json: bool = False


ANY_FAMILY = CallForms()

# Model names and their families, the more specific first: a fine-tune also has its base model's name.
_BY_NAME: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("gpt-oss", "gptoss"), ("harmony",)),
    (("minimax",), ("minimax",)),
    (("kimi", "moonshot"), ("kimi",)),
    (("glm", "chatglm"), ("glm",)),
    (("hermes",), ("hermes",)),
    (("qwen", "qwq"), ("hermes", "qwen3_coder")),
    (("deepseek",), ("deepseek_v3", "deepseek_v31", "deepseek_v32", "deepseek_v4")),
    (("stral", "mixtral"), ("mistral", "mistral_v3")),
    (("gemma",), ("gemma4", "function_gemma")),
)
_BARE_JSON = ("llama-3", "llama3", "llama-4", "llama4", "llama_3", "llama_4")


def forms_of(model: str, tool_format: str = "") -> CallForms:
    """The forms in which a model writes calls: by `tool_format`, else by the model's name, else all."""
    if tool_format:
        return CallForms((family_named(tool_format),))
    name = model.lower()
    for words, families in _BY_NAME:
        if any(word in name for word in words):
            return CallForms(tuple(family_named(family) for family in families))
    return CallForms(bare_json=True) if any(word in name for word in _BARE_JSON) else ANY_FAMILY


def bare_json_of(template: str, vocabulary: Collection[str]) -> bool:
    """Whether a model writes calls as bare JSON, like Llama; decided by its chat template and its tokens."""
    return "<|python_tag|>" in vocabulary or "<|python_tag|>" in template

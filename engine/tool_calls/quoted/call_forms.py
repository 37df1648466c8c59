"""The forms in which a model may write calls: what to look for in its text."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from engine.tool_calls.families.registry import FAMILIES, family_named
from engine.tool_calls.reading.family import Bare, Family


@dataclass(frozen=True, slots=True)
class CallForms:
    """`families`: forms with opening marks. `bare`: calls without a mark, if they are the whole answer."""

    families: tuple[Family, ...] = FAMILIES
    bare: tuple[Bare, ...] = ()


ANY_FAMILY = CallForms()

# Model names and their families, the more specific first: a fine-tune also has its base model's name.
_BY_NAME: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("gpt-oss", "gptoss"), ("harmony",)),
    (("minimax",), ("minimax", "minimax_m3", "minimax_m1")),
    (("kimi", "moonshot"), ("kimi", "kimi_k3")),
    (("glm-4-", "glm4-"), ("glm4", "glm")),
    (("glm", "laguna"), ("glm",)),
    (("functionary",), ("functionary", "functionary_v31")),
    (("xlam",), ("xlam", "hermes")),
    (("nemotron-nano-9b-v2", "nemotron-nano-12b-v2", "nemotron-super-49b"), ("nemotron",)),
    (("nemotron-3", "nemotron3"), ("qwen3_coder",)),
    (("lfm2",), ("lfm2",)),
    (("longcat",), ("longcat",)),
    (("minicpm5",), ("minicpm5",)),
    (("muse-",), ("muse_spark",)),
    (("hy3", "hunyuan"), ("hy3", "hy3_opensource", "jamba", "hermes")),
    (("command-r-plus", "command-r-v01", "command-r-08"), ("command_r",)),
    (("command-r7b", "command-a", "c4ai-command", "cohere"), ("cohere", "command_r")),
    (("granite",), ("granite", "granite_20b", "hermes")),
    (("phi-4", "phi4"), ("phi4_mini", "granite")),
    (("apertus",), ("apertus",)),
    (("olmo",), ("olmo3",)),
    (("step-3.5", "step3p5", "step-3.7"), ("qwen3_coder",)),
    (("step3", "step-3"), ("step3",)),
    (("gigachat",), ("gigachat", "gigachat35")),
    (("solar",), ("solar_open", "solar_open2", "hermes")),
    (("inkling",), ("inkling",)),
    (("dots",), ("dots",)),
    (("plamo-3", "plamo3"), ("plamo3",)),
    (("iquest",), ("iquest_coder", "hermes")),
    (("k2-horizon", "k2_horizon"), ("k2_horizon",)),
    (("seed-oss",), ("seed_oss",)),
    (("internlm", "intern-s1"), ("internlm", "hermes")),
    (("ernie", "exaone", "smollm"), ("hermes",)),
    (("jamba", "apriel"), ("jamba",)),
    (("mirothinker",), ("mirothinker",)),
    (("hermes",), ("hermes",)),
    (("qwen", "qwq"), ("hermes", "qwen3_coder")),
    (("deepseek",), ("deepseek_v3", "deepseek_v31", "deepseek_v32", "deepseek_v4")),
    (("stral", "mixtral"), ("mistral", "mistral_v3")),
    (("gemma",), ("gemma4", "function_gemma", "gemma3")),
    (("llama-4", "llama4", "llama_4"), ("llama4", "llama3_json")),
    (("llama-3", "llama3", "llama_3"), ("llama3_json",)),
)


def forms_of(model: str, tool_format: str = "") -> CallForms:
    """The forms in which a model writes calls: by `tool_format`, else by the model's name, else all."""
    if tool_format:
        return forms_of_families([family_named(tool_format)])
    name = model.lower()
    for words, families in _BY_NAME:
        if any(word in name for word in words):
            return forms_of_families([family_named(family) for family in families])
    return ANY_FAMILY


def forms_of_families(families: Sequence[Family]) -> CallForms:
    """The forms of some families."""
    bare = tuple(family.bare for family in families if family.bare)
    return CallForms(tuple(family for family in families if family.openings), bare)


def bare_json_of(template: str, vocabulary: Collection[str]) -> bool:
    """Whether a model writes calls as bare JSON, like Llama; decided by its chat template and its tokens."""
    return "<|python_tag|>" in vocabulary or "<|python_tag|>" in template

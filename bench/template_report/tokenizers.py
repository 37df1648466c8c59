"""A tokenizer for a chat template that comes without one: byte-level BPE, with its marks as tokens.

What a mark is shows the text of the template: `<|im_end|>`, `[INST]`, `<start_of_turn>`. What ends an answer
shows a rendered one.
"""

from __future__ import annotations

import re
import sysconfig
from functools import cache
from pathlib import Path
from typing import Any

from mlx_lm.tokenizer_utils import TokenizerWrapper
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

_MARK = re.compile(
    r"<\|[^<>|\s'\"{}]{1,60}\|>|<｜[^<>｜\s'\"]{1,60}｜>|<\|\w+>|<\w+\|>|\[/?[A-Z][A-Z_]+\]"
    r"|</?(?:s|bos|eos|unk|think|tool_call|tool_response|minimax:tool_call|(?:start|end)_of_turn)>"
    r"|<(?:start|end)_function_\w+>|<escape>|<extra_id_\d>|]<]\w+\[>\[|\[e~\[|]~!?b[\[\]]"
)
_BEGINS = (
    *("<|begin_of_text|>", "<｜begin▁of▁sentence｜>", "<bos>", "<s>", "<|startoftext|>", "<|bos|>"),
    "[gMASK]",
)
_ENDS = (
    *("<|im_end|>", "<|eot_id|>", "<｜end▁of▁sentence｜>", "<end_of_turn>", "</s>", "<|end_of_text|>"),
    "<|end|>",
)
_SAID, _ASKED = "probeanswer", "probebehind"
_VOCABULARY = 2000


def template_tokenizer(template: str) -> Any:
    """mlx-lm's wrapper of a tokenizer with this chat template."""
    marks = list(dict.fromkeys(_MARK.findall(template)))
    begin = next((mark for mark in _BEGINS if mark in template), "<s>")
    end = next((mark for mark in _ENDS if mark in template), "</s>")
    made = Tokenizer.from_str(_base())
    made.add_special_tokens([AddedToken(mark, normalized=False) for mark in {*marks, begin, end}])
    inner = PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=begin, eos_token=end, clean_up_tokenization_spaces=False
    )
    inner.chat_template = template
    known = inner.get_vocab()
    ends = {known[mark] for mark in _answer_ends(inner) if mark in known}
    return TokenizerWrapper(inner, eos_token_ids=sorted(ends | {inner.eos_token_id}))


def _answer_ends(inner: Any) -> set[str]:
    """The marks directly behind an answer, of text or with a call."""
    asked, more = {"role": "user", "content": "probebefore"}, {"role": "user", "content": _ASKED}
    function = {"name": "look", "arguments": {"path": _SAID}}
    called = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "a12345678", "type": "function", "function": function}],
    }
    ends: set[str] = set()
    for turns in ([{"role": "assistant", "content": _SAID}, more], [called]):
        try:
            text = inner.apply_chat_template([asked, *turns], tokenize=False)
        except Exception:  # a template may raise anything
            continue
        behind = text.rpartition(_SAID)[2].partition(_ASKED)[0]
        found = _MARK.findall(behind)
        if found and behind.lstrip().startswith(found[0]):
            ends.add(found[0])
    return {mark for mark in ends if not mark.startswith(("<|START", "</think", "</tool", "<tool"))}


@cache
def _base() -> str:
    folder = Path(sysconfig.get_path("stdlib"))
    texts = [(folder / name).read_text("utf-8") for name in ("argparse.py", "ast.py", "calendar.py")]
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=_VOCABULARY, initial_alphabet=letters, show_progress=False)
    )
    return made.to_str()

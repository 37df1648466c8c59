"""Small tokenizers of the kinds that models come with, each with a chat template that writes its marks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlx_lm.tokenizer_utils import TokenizerWrapper
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizer, PreTrainedTokenizerFast

CORPUS = [
    "some words to learn from, and some more words: <b>bold</b> [1] {2: '3'} | end|> < > </ ",
    "im_start im_end think tool_call INST start_of_turn user assistant system\n\n  indented\n",
    "日本 wörd ＜ｔｈｉｎｋ＞ <Think>",
] * 20

TEMPLATE = """\
{%- if tools -%}{{- 'START' + 'system\\n' -}}{%- for tool in tools -%}{{- tool | tojson + '\\n' -}}
{%- for key in tool.function.parameters.properties or {} -%}{{- '<' + key + '>x</' + key + '>' -}}
{%- endfor -%}{%- endfor -%}{{- 'END' -}}{%- endif -%}
{%- for m in messages -%}
{{- 'START' + m.role + '\\n' -}}
{%- set content = m.content or '' -%}{%- set thought = m.reasoning_content or '' -%}
{%- if m.role == 'assistant' and not thought and 'OVER' in content -%}
{%- set thought = content.split('OVER')[0].split('THINK')[-1].strip() -%}
{%- set content = content.split('OVER')[-1].lstrip() -%}
{%- endif -%}
{%- if thought -%}{{- 'THINK\\n' + thought + '\\nOVER\\n' -}}{%- endif -%}
{{- content -}}
{%- for c in m.tool_calls or [] -%}
{{- 'CALL' + c.function.name + ' ' + (c.id or '') + ' ' -}}
{%- for key, value in c.function.arguments | items -%}
{{- '<' + key + '>' + (value if value is string else value | tojson) + '</' + key + '>' -}}
{%- endfor -%}
{{- 'DONE' -}}
{%- endfor -%}
{{- 'END\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'STARTassistant\\n' -}}{%- endif -%}
"""


@dataclass(frozen=True)
class Marks:
    """What a family writes where; the first two are flagged special, the others are not."""

    start: str = "<|im_start|>"
    end: str = "<|im_end|>"
    think: str = "<think>"
    over: str = "</think>"
    call: str = "<tool_call>"
    done: str = "</tool_call>"

    @property
    def all(self) -> tuple[str, ...]:
        return (self.start, self.end, self.think, self.over, self.call, self.done)

    def template(self) -> str:
        text = TEMPLATE
        words = (("START", self.start), ("END", self.end), ("THINK", self.think), ("OVER", self.over))
        for word, mark in (*words, ("CALL", self.call), ("DONE", self.done)):
            text = text.replace(word, mark)
        return text


LLAMA3 = Marks("<|start_header_id|>", "<|eot_id|>", call="<|python_tag|>", done="<|eom_id|>")
MISTRAL = Marks("[INST]", "[/INST]", "[THINK]", "[/THINK]", "[TOOL_CALLS]", "[ARGS]")
GEMMA = Marks("<start_of_turn>", "<end_of_turn>")


def wrapped(tokenizer: Tokenizer, marks: Marks) -> Any:
    """mlx-lm's wrapper, as it comes of a model's folder."""
    inner = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=marks.end, clean_up_tokenization_spaces=False
    )
    inner.chat_template = marks.template()
    return TokenizerWrapper(inner)


def _marked(tokenizer: Tokenizer, marks: Marks, **flags: Any) -> Any:
    flags = {"normalized": False} | flags
    tokenizer.add_special_tokens([AddedToken(text, special=True, **flags) for text in marks.all[:2]])
    tokenizer.add_tokens([AddedToken(text, **flags) for text in marks.all[2:]])
    return wrapped(tokenizer, marks)


def _byte_level(marks: Marks, ignore_merges: bool = False, **flags: Any) -> Any:
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet, show_progress=False)
    )
    return _marked(tokenizer, marks, **flags)


def byte_level(template: str = "") -> Any:
    """Qwen's and most others'."""
    made = _byte_level(Marks())
    if template:
        made._tokenizer.chat_template = template
    return made


def llama3() -> Any:
    """Words that are tokens are not put together."""
    return _byte_level(LLAMA3, ignore_merges=True)


def tekken() -> Any:
    """Mistral's newer: signs and letters apart, brackets for marks."""
    made = _byte_level(MISTRAL)
    split = pre_tokenizers.Split(Regex(r"\p{L}+|\p{N}|\s+|[^\s\p{L}\p{N}]+"), behavior="isolated")
    made._tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    return made


def _sentencepiece(marks: Marks, build: Callable[[Tokenizer], None], **flags: Any) -> Any:
    specials = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    build(tokenizer)
    tokenizer.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=620, special_tokens=specials, show_progress=False)
    )
    # All that training was told of is a special token now, which the bytes are not.
    made = Tokenizer(models.BPE(**_parts(tokenizer), unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    build(made)
    made.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in specials[:3]])
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return _marked(made, marks, **flags)


def _parts(tokenizer: Tokenizer) -> dict[str, Any]:
    model = json.loads(tokenizer.to_str())["model"]
    return {"vocab": model["vocab"], "merges": [tuple(pair) for pair in model["merges"]]}


def mistral3() -> Any:
    """SentencePiece: the first word of a text gets a blank, bytes stand for unknown letters."""

    def build(tokenizer: Tokenizer) -> None:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)

    return _sentencepiece(MISTRAL, build)


def llama2() -> Any:
    """SentencePiece as it was first converted: the text behind each mark gets a blank, too."""

    def build(tokenizer: Tokenizer) -> None:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])

    return _sentencepiece(MISTRAL, build)


def gemma() -> Any:
    """SentencePiece without that blank; runs of line breaks and blanks, and HTML, are added tokens."""

    def build(tokenizer: Tokenizer) -> None:
        tokenizer.normalizer = normalizers.Replace(" ", "▁")

    made = _sentencepiece(GEMMA, build)
    backend = made._tokenizer.backend_tokenizer
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    backend.add_tokens(
        [AddedToken(text, normalized=False) for text in ("\n\n", "\n\n\n", "▁▁", "<b>", "</b>")]
    )
    return made


def folding() -> Any:
    """Looks for its tokens in a text whose letters are folded: wide ones, capitals."""
    made = _byte_level(Marks(), normalized=True)
    made._tokenizer.backend_tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase()]
    )
    return wrapped(made._tokenizer.backend_tokenizer, Marks())


def stripping() -> Any:
    """Its tokens swallow the blanks around them."""
    return _byte_level(Marks(), lstrip=True, rstrip=True)


def single_words() -> Any:
    """Its tokens are none within a word."""
    return _byte_level(Marks(), single_word=True)


def unigram() -> Any:
    """T5's kind; its vocabulary holds `</s>` like any piece of text."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=200, special_tokens=["<unk>", "</s>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.decoder = decoders.Metaspace()
    return _marked(tokenizer, Marks())


def wordpiece() -> Any:
    """BERT's kind."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=300, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.decoder = decoders.WordPiece()
    return _marked(tokenizer, Marks())


class Letters(PreTrainedTokenizer):  # type: ignore[misc]
    """A tokenizer written in Python, as some models bring along: a token a letter."""

    def __init__(self, **options: Any) -> None:
        self._letters = {chr(code): code for code in range(0x10000) if not 0xD800 <= code < 0xE000}
        super().__init__(**options)

    @property
    def vocab_size(self) -> int:
        return len(self._letters)

    def get_vocab(self) -> dict[str, int]:
        return self._letters | self.added_tokens_encoder

    def _tokenize(self, text: str, **options: Any) -> list[str]:
        return list(text)

    def _convert_token_to_id(self, token: str) -> int:
        return self._letters.get(token, 0)

    def _convert_id_to_token(self, index: int) -> str:
        return chr(index)

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        return "".join(tokens)


def python_letters() -> Any:
    inner = Letters(eos_token="<|im_end|>", unk_token="\0", clean_up_tokenization_spaces=False)
    marks = Marks()
    inner.add_special_tokens({"additional_special_tokens": [AddedToken(marks.start, special=True)]})
    inner.add_tokens([AddedToken(text, normalized=False) for text in marks.all[2:]])
    inner.chat_template = marks.template()
    return TokenizerWrapper(inner)


LOSSLESS = (byte_level, llama3, tekken, gemma, single_words, python_letters)
"""Of these, decoding gives back what was encoded."""

ALL = (*LOSSLESS, mistral3, llama2, folding, stripping, unigram, wordpiece)

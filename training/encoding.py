"""Encodes conversations as token ids with the model's own chat template and tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2.sandbox
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from engine.bundled_model import FOLDER
from training.conversations import Conversation, Conversations

PAD, END, SYSTEM, TOOLS, USER, ASSISTANT, TOOL = (
    "<|pad|>",
    "<|end|>",
    "<|system|>",
    "<|tools|>",
    "<|user|>",
    "<|assistant|>",
    "<|tool|>",
)
CONTROL_TOKENS = (PAD, END, SYSTEM, TOOLS, USER, ASSISTANT, TOOL)
MARKUP_TOKENS = ("<tool_call>", "</tool_call>", "<function=", "</function>", "<parameter=", "</parameter>")

VOCAB_SIZE = 2048

# A word, a run of blanks, or one sign: a string is split into the same tokens at any place, in a request or
# as an argument, so that copying it is copying tokens.
_PIECES = r"\p{Lu}?\p{Ll}+|\p{Lu}+| +|[^ ]"


class Encoder:
    """Renders conversations and tokenizes them, for training."""

    def __init__(self, tokenizer: Tokenizer, template: str) -> None:
        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
        self._template = environment.from_string(template)
        self._tokenizer = tokenizer
        self._assistant = token_id(tokenizer, ASSISTANT)
        self._end = token_id(tokenizer, END)

    def text(self, conversation: Conversation) -> str:
        """The whole conversation as the model reads and writes it."""
        tools: list[dict[str, Any]] = [{"function": {"name": name}} for name in conversation.tools]
        return self._template.render(messages=conversation.messages, tools=tools)

    def ids(self, conversation: Conversation) -> tuple[list[int], list[bool]]:
        """Token ids, and for each whether the model is trained to write it: answers with their end marks.

        An interrupted answer (`"whole": False`) is not trained.
        """
        ids: list[int] = self._tokenizer.encode(self.text(conversation), add_special_tokens=False).ids
        whole = (m.get("whole", True) for m in conversation.messages if m["role"] == "assistant")
        own: list[bool] = []
        writing = False
        for token in ids:
            own.append(writing)
            if token == self._assistant:
                writing = next(whole)
            elif token == self._end:
                writing = False
        return ids, own


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """The id of a token of the tokenizer."""
    found = tokenizer.token_to_id(token)
    assert found is not None, token
    return found


def train_tokenizer(seed: int, conversations: int = 20_000, vocab_size: int = VOCAB_SIZE) -> Tokenizer:
    """A byte-level BPE tokenizer of exactly `vocab_size` entries, trained on generated conversations."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(MARKUP_TOKENS),
        special_tokens=list(CONTROL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    source = Conversations(seed)
    texts = (
        message["content"] or json.dumps(message.get("tool_calls"), ensure_ascii=False)
        for _ in range(conversations)
        for message in source.draw().messages
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in MARKUP_TOKENS])
    return tokenizer


def read_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a model folder."""
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def save_tokenizer(tokenizer: Tokenizer, folder: Path, context_length: int) -> None:
    """Write the tokenizer files that transformers and mlx-lm load; the chat template is a source file."""
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": PAD,
        "model_max_length": context_length,
        "clean_up_tokenization_spaces": False,
    }
    text = json.dumps(settings, indent=2) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")


def template_text(folder: Path = FOLDER) -> str:
    """The model's chat template."""
    return (folder / "chat_template.jinja").read_text(encoding="utf-8")

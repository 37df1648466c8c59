"""A random model is a complete model: it loads anywhere, answers, stops, and its prompts only grow."""

from __future__ import annotations

import functools
import json
import statistics
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx_lm
import pytest
from mlx_lm.sample_utils import make_sampler

from bench.random_model import Architecture, RandomShape, build_random_model, main
from tests.models import TINY, ModelShelf, script_pieces

USER = {"role": "user", "content": "Who are you?"}
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "", "parameters": {}}}
SCRIPTS = [
    "Hello there.",
    'Let me look.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>',
    "<think>\nI think that I think.\n</think>\n\nSo I think: no no, no.",
    "yes yes yes yes",
]


loaded = functools.cache(lambda path: mlx_lm.load(str(path)))


def generate(path: Path, messages: list[dict[str, Any]], count: int, temperature: float = 0.0) -> list[Any]:
    model, tokenizer = loaded(path)
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True)
    sampler = make_sampler(temperature)
    return list(mlx_lm.stream_generate(model, tokenizer, prompt, max_tokens=count, sampler=sampler))


@pytest.mark.parametrize("architecture", ["qwen3", "gemma3_text", "qwen3_5"])
def test_answers_end_by_themselves_and_are_never_empty(shelf: ModelShelf, architecture: Architecture) -> None:
    path = shelf.tiny(architecture, eos_every=12)
    mx.random.seed(1)
    lengths = [len(generate(path, [USER], 400, temperature=1.0)) for _ in range(20)]
    # All start at the same line break, and some loops of so small a model are long.
    assert 12 / 4 < statistics.mean(lengths) < 12 * 4
    assert min(lengths) > 1


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_an_endless_model_does_not_end(shelf: ModelShelf, temperature: float) -> None:
    assert generate(shelf.tiny(), [USER], 200, temperature)[-1].finish_reason == "length"


def test_no_answer_has_the_tokens_that_structure_a_prompt(shelf: ModelShelf) -> None:
    text = "".join(part.text for part in generate(shelf.tiny(), [USER], 500, temperature=1.0))
    assert not any(token in text for token in ("<|im_start|>", "<|im_end|>", "<tool_call>", "<think>"))


def test_the_same_seed_makes_the_same_model(tmp_path: Path) -> None:
    made = [
        build_random_model(tmp_path / name, shape=TINY, seed=seed)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    first, again, other = ((path / "model.safetensors").read_bytes() for path in made)
    assert first == again
    assert first != other
    assert (made[0] / "tokenizer.json").read_bytes() == (made[1] / "tokenizer.json").read_bytes()


def test_the_model_card_says_that_it_writes_nonsense(shelf: ModelShelf) -> None:
    assert "talks nonsense" in (shelf.tiny() / "README.md").read_text()


def test_a_conversations_prompt_only_grows(tokenizer: Any) -> None:
    call = {
        "id": "1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": {"city": "Paris"}},
    }
    turns: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        USER,
        {"role": "assistant", "content": "Let me look.", "tool_calls": [call, call]},
        {"role": "tool", "tool_call_id": "1", "content": "Sunny"},
        {"role": "tool", "tool_call_id": "2", "content": [{"type": "text", "text": "Rain"}]},
        {"role": "system", "content": "A note in between."},
        {"role": "assistant", "reasoning_content": "Hm.", "content": "Both."},
        USER,
    ]
    asked = [count for count in range(1, len(turns)) if turns[count]["role"] == "assistant"] + [len(turns)]
    prompts = [
        tokenizer.apply_chat_template(turns[:count], tools=[TOOL], add_generation_prompt=True, tokenize=False)
        for count in asked
    ]
    assert all(later.startswith(earlier) for earlier, later in pairwise(prompts))
    assert prompts[-1].startswith("<|im_start|>system\nBe brief.\n\n# Tools")
    assert (
        prompts[-1].count(
            '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
        )
        == 2
    )
    assert (
        "<|im_start|>user\n<tool_response>\nSunny\n</tool_response>"
        "\n<tool_response>\nRain\n</tool_response><|im_end|>\n"
        "<|im_start|>system\nA note in between.<|im_end|>\n"
        "<|im_start|>assistant\n<think>\nHm.\n</think>\n\nBoth."
    ) in prompts[-1]


def test_the_library_finds_the_tool_parser_and_the_thinking(tokenizer: Any) -> None:
    assert tokenizer.has_tool_calling
    assert tokenizer.has_thinking
    assert tokenizer.tool_parser('{"name": "a", "arguments": {}}', None) == {"name": "a", "arguments": {}}


@pytest.mark.parametrize(
    "text", ["", "Grüße, 世界 🎉\n\n\tdef f(x):  return 12345", "a" * 500, "<|im_start|> <tool_call>"]
)
def test_every_text_survives_the_tokenizer(tokenizer: Any, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_scripted_model_recites_its_script(shelf: ModelShelf, script: str, temperature: float) -> None:
    path = shelf.scripted(script)
    for content in ("Who are you?", script):
        parts = generate(path, [{"role": "user", "content": content}], 200, temperature)
        assert "".join(part.text for part in parts) == script
        assert parts[-1].finish_reason == "stop"


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_pieces_of_a_script_are_all_different(script: str) -> None:
    pieces = list(script_pieces(script))
    assert "".join(pieces) == script
    assert len(set(pieces)) == len(pieces)


def test_the_command_writes_a_model(tmp_path: Path) -> None:
    out = tmp_path / "random"
    command = [sys.executable, "-m", "bench.random_model", str(out), "--arch", "qwen3_5", "--vocab", "1024"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{out}\n", "")
    config = json.loads((out / "config.json").read_text())
    assert (config["model_type"], config["vocab_size"]) == ("qwen3_5", 1024)


def test_the_command_says_what_is_wrong_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("")
    assert main([str(tmp_path / "full")]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert main([str(tmp_path / "new"), "--vocab", "100"]) == 2
    assert capsys.readouterr().err == "a vocabulary of 100 is too small: it needs 265\n"


def test_the_default_vocabulary_gives_realistic_token_counts() -> None:
    assert RandomShape().vocab_size == 16384

"""mlx-lm's own generation loop as a process: the peer that the engine's decode speed is measured against.

    python -m bench.library_decode     settings on stdin: {"model": FOLDER}

Each further line on stdin is {"messages": [...], "max_tokens": N}; it answers with {"tokens_per_s": ...} of
one greedy generation with `mlx_lm.stream_generate`, first token to last.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from engine.lifeline import announce, read_settings


def decode_speed(model: Any, tokenizer: Any, messages: list[dict[str, Any]], max_tokens: int) -> float:
    """Tokens per second after the first, of one greedy answer."""
    from mlx_lm import stream_generate
    from mlx_lm.sample_utils import make_sampler

    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True)
    answer = stream_generate(model, tokenizer, prompt, max_tokens=max_tokens, sampler=make_sampler(temp=0.0))
    times = [time.perf_counter() for _ in answer]
    return (len(times) - 1) / (times[-1] - times[0])


def main() -> None:
    """Serve decode requests until stdin closes."""
    from mlx_lm.utils import load

    model, tokenizer = load(read_settings()["model"])[:2]
    announce(listening="stdin")
    for line in sys.stdin:
        asked = json.loads(line)
        announce(tokens_per_s=decode_speed(model, tokenizer, asked["messages"], asked["max_tokens"]))


if __name__ == "__main__":
    main()

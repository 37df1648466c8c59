"""How an engine runs its model: the settings that a user gives to an engine, or to the host that starts it.

The engine itself reads neither files nor variables. Their names stand here as well, because a setting is
declared in one place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.options.kinds import (
    BATCH,
    BYTES,
    CHUNK,
    FLAG,
    GUESSES,
    KV_BITS,
    LOOP,
    MEMORY,
    QUEUE,
    SECONDS,
    TEXT,
    THINKING_FORMAT,
    TOKENS,
    TOOL_FORMAT,
    WIRED,
)
from engine.options.setting import declared


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """All that goes from the host to the engine as the user has set it."""

    model: str = declared(
        "",
        TEXT,
        "model folder, or its id on Hugging Face; with another backend the server's name for it",
        key="backends.NAME.model",
        option="--model",
        metavar="PATH_OR_ID",
        usual="the bundled demo model, or the first that another backend's server lists",
        harmless=True,  # if it is a name and cannot be a path, see `proxy.configuration.untrusted`
    )
    tool_format: str = declared(
        "",
        TOOL_FORMAT,
        "the tool-call format of the model, if its chat template (with another backend its name) does not"
        " show it",
        key="backends.NAME.toolFormat",
        option="--tool-format",
        metavar="NAME",
        usual="as the chat template shows",
        harmless=True,
        more="tool-calls.md#families",
        live=True,
    )
    thinking_format: str = declared(
        "",
        THINKING_FORMAT,
        "the marks around thinking of the built-in engine's model, if its chat template does not show them",
        key="backends.NAME.thinkingFormat",
        option="--thinking-format",
        metavar="NAME",
        usual="as the chat template shows",
        harmless=True,
        more="tool-calls.md#thinking",
        live=True,
    )
    context_tokens: int = declared(
        0,
        TOKENS,
        "the model's context window, for the engine and for Claude Code's compaction; more than the model's"
        " files state is served too, but not more than the positions that it has learned",
        key="backends.NAME.contextTokens",
        usual="as the model's files state",
        harmless=True,
        live=True,
    )
    grammar: bool = declared(
        True,
        FLAG,
        "constrain tool calls and JSON answers to their grammar while they are generated; without, they are"
        " read as written and repaired",
        key="backends.NAME.grammar",
        harmless=True,
        live=True,
    )
    kv_bits: Literal[4, 8] | None = declared(
        None,
        KV_BITS,
        "bits of a stored key or value: less memory, slightly other answers",
        key="backends.NAME.kvBits",
        usual="as the model computes them",
        harmless=True,
        live=True,
    )
    adapter: str = declared(
        "",
        TEXT,
        "folder of a LoRA adapter for the model, as mlx_lm.lora writes it",
        key="backends.NAME.adapter",
        option="--adapter",
        metavar="PATH",
        usual="none",
    )
    trust_remote_code: str = declared(
        "",
        TEXT,
        "the model whose own Python code may run, named as in model: some models bring a tokenizer or an"
        " architecture as code, which then can read and change all that you can",
        key="backends.NAME.trustRemoteCode",
        usual="none: code of a model never runs",
    )
    draft_model: str = declared(
        "",
        TEXT,
        "small model of the same family that guesses tokens ahead, a folder or hub id; greedy answers stay"
        " the same, sampled ones of one seed do not",
        key="backends.NAME.draftModel",
        usual="none",
    )
    draft_tokens: int = declared(
        3,
        GUESSES,
        "tokens that the draft model guesses at a time",
        key="backends.NAME.draftTokens",
        harmless=True,
        live=True,
    )
    loop_tokens: int = declared(
        2000,
        LOOP,
        "end an answer whose last so many tokens repeat one passage, with a sentence about it; in calls"
        " and JSON it takes eight times as many; 0: never",
        key="backends.NAME.loopTokens",
        more="architecture.md#answers-that-repeat-themselves",
        live=True,
    )
    max_batch: int = declared(
        8,
        BATCH,
        "requests that generate at the same time; 1: one after another",
        key="backends.NAME.maxBatch",
        live=True,
    )
    max_queue: int = declared(
        64,
        QUEUE,
        "requests that may wait; more are refused, and Claude Code tries again",
        key="backends.NAME.maxQueue",
        live=True,
    )
    prefill_chunk: int | None = declared(
        None,
        CHUNK,
        "tokens of a prompt's first chunk, which is computed in one step",
        key="backends.NAME.prefillChunk",
        usual="as measured on this machine",
        more="prefix-cache.md#how-long-chunks-are",
        live=True,
    )
    stall_after_s: float = declared(
        60.0,
        SECONDS,
        "seconds without progress in work after which the engine is stalled; after three times as many, and"
        " not before 180, the host restarts it",
        key="backends.NAME.stallAfterS",
    )
    prefix_cache_bytes: int | None = declared(
        None,
        BYTES,
        "memory for the prefix cache",
        key="backends.NAME.prefixCacheBytes",
        usual="a fifth of the machine's",
        more="prefix-cache.md",
        live=True,
    )
    memory_limit_bytes: int | None = declared(
        None,
        MEMORY,
        "memory that the engine may take with weights, prompts and answers",
        key="backends.NAME.memoryLimitBytes",
        usual="by the machine",
        more="running.md#memory",
        live=True,
    )
    wired: Literal["weights", "off"] = declared(
        "weights",
        WIRED,
        "what macOS may never page out: the weights, where they are less than half of the memory, or nothing",
        key="backends.NAME.wired",
        more="running.md#memory",
    )
    disk_cache_bytes: int = declared(
        20_000_000_000,
        BYTES,
        "disk for computed prompts, of all models together; 0: none",
        key="backends.NAME.diskCacheBytes",
        more="prefix-cache.md",
        live=True,
    )
    disk_writes_per_day_bytes: int = declared(
        50_000_000_000,
        BYTES,
        "most bytes of computed prompts that are written to disk in a day (UTC); 0: they are only read",
        key="backends.NAME.diskWritesPerDayBytes",
        more="prefix-cache.md",
        live=True,
    )
    relax_gpu_watchdog: bool = declared(
        False,
        FLAG,
        "let macOS's GPU driver wait longer before it ends what a chunk of a prompt computes, for Macs on"
        " which long prompts fail with a timeout of the GPU; windows may stutter meanwhile",
        key="backends.NAME.relaxGpuWatchdog",
        more="prefix-cache.md#how-long-chunks-are",
    )

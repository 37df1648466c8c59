"""`anyclaude-tui verify cache`: does a second request reuse what a first one computed?

One system prompt, made afresh, is sent twice, between a control of the same length that nobody has sent
before. So what is fast only because the machine is warm is fast for the control too.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from proxy.configuration.known_backends import BackendKind
from proxy.events.types import Usage
from tui.client.asking import StreamedAnswer, ask, made_up_prompt
from tui.client.figures import percent, seconds
from tui.client.host_client import HostError
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, check_own_account, say
from tui.commands.verify.claims import Claims
from tui.commands.verify.verified_host import HostChoice, VerifiedHost, choose_host, verified_host

USAGE, FILLS, READS = "usage is counted", "a first request fills the cache", "a second one reads from it"
CONTROL, TIMES, DISK = "a control does not", "cached is faster", "after a restart it is read from disk"

MEASURABLE_S = 0.5  # a control's TTFT below it tells nothing: noise, and what every request takes
FASTER = 0.7  # of the control's TTFT
LEAST_SHOWN = 0.25  # of the made-up prompt; below it the template has left it out
LEAST_READ = 0.5  # of a prompt sent before; the few tokens that all prompts begin with prove nothing
_ANSWER_TOKENS = 8
_LEAST_FOR_CLAUDE = 5_000  # tokens; its models cache no shorter prefix than 1,024 to 4,096


@dataclass(frozen=True, slots=True)
class CacheAnswers:
    """What came back; `again` is None where no engine was restarted, and `why_not` or `failure` says why."""

    first: StreamedAnswer
    second: StreamedAnswer
    control: StreamedAnswer
    again: StreamedAnswer | None = None
    why_not: str = ""
    how: str = ""  # to check it all the same
    failure: str = ""  # of the restart, or of the request after it


def run_verify_cache(
    invocation: Invocation, *, head_tokens: int, restart: bool, beside_host: bool, as_json: bool
) -> int:
    """Ask, judge and print; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError, tui.client.host_process.HostFailed, CommandFailed: there is
        no host to ask.
    """
    choice = choose_host(invocation, beside_host=beside_host)
    claims = Claims("verify cache", say)
    try:
        asyncio.run(_verify(choice, claims, head_tokens, restart=restart))
    except HostError as error:
        raise CommandFailed(ExitCode.ENGINE_FAILED, f"{error}; nothing was verified") from None
    return claims.write(as_json=as_json)


async def _verify(choice: HostChoice, claims: Claims, head_tokens: int, *, restart: bool) -> None:
    async with verified_host(choice) as host:
        headers = credentials(choice, host) if host.backend == "claude" else {}
        tokens = _length(host, head_tokens)
        answers = await _ask_all(host, asked_model(choice, host), tokens, headers, restart=restart)
        judge(claims, answers, host.backend, tokens)


def _length(host: VerifiedHost, head_tokens: int) -> int:
    """Tokens of the made-up prompt: at most a quarter of the window, as tokens may be short."""
    wanted = max(head_tokens, _LEAST_FOR_CLAUDE) if host.backend == "claude" else head_tokens
    window = host.state.engine.context_tokens or host.settled.config.context_tokens
    return min(wanted, window // 4) if window else wanted


def credentials(choice: HostChoice, host: VerifiedHost) -> dict[str, str]:
    """The header for Anthropic's API, whose client has to bring its own key.

    Raises:
        CommandFailed: there is none, or it must not go to that address.
    """
    key = choice.invocation.environ.get("ANTHROPIC_API_KEY", "")
    if not key:
        raise CommandFailed(
            ExitCode.USAGE,
            "the claude backend passes the client's own account on, and this command has none; set"
            ' ANTHROPIC_API_KEY for it (the requests are billed), or see "cache read" in:'
            " anyclaude-tui traces analyze",
        )
    if host.process is None and not choice.invocation.attach:
        check_own_account(choice.settled, host.client.url)
    return {"x-api-key": key}


def asked_model(choice: HostChoice, host: VerifiedHost) -> str:
    """The model's name for requests; hosts with one model take any.

    Raises:
        CommandFailed: the claude backend needs one, and none is named.
    """
    named = host.state.model or host.settled.config.model
    if host.backend == "claude":
        named = named or choice.invocation.environ.get("ANTHROPIC_MODEL", "")
        if not named:
            raise CommandFailed(
                ExitCode.USAGE, "the claude backend has no model of its own; name one: --model NAME"
            )
    return named or "any"


async def _ask_all(
    host: VerifiedHost, model: str, tokens: int, headers: Mapping[str, str], *, restart: bool
) -> CacheAnswers:
    ours, other = (_body(model, made_up_prompt(tokens, secrets.token_hex(8))) for _ in range(2))
    say(f"a first request with a system prompt of about {tokens:,} tokens that was just made up")
    first = await ask(host.client, ours, headers)
    say("the same request a second time")
    second = await ask(host.client, ours, headers)
    say("a control: the same length, another beginning")
    control = await ask(host.client, other, headers)
    why_not, how = _why_no_restart(host, restart=restart)
    if why_not or first.error:
        return CacheAnswers(first, second, control, None, why_not, how)
    say("restarting the engine")
    try:
        before = (await host.client.state()).engine.pid
        await host.client.restart_engine()
    except HostError as error:
        return CacheAnswers(first, second, control, None, f"the engine was not restarted: {error}")
    try:
        await host.until_restarted(before)
        say("the first request once more")
        return CacheAnswers(first, second, control, await ask(host.client, ours, headers))
    except CommandFailed as failed:  # what was asked before has its verdict
        return CacheAnswers(first, second, control, failure=failed.message)
    except HostError as error:
        return CacheAnswers(first, second, control, failure=str(error))


def _why_no_restart(host: VerifiedHost, *, restart: bool) -> tuple[str, str]:
    """Why the engine is not restarted, and what to do; empty if it is."""
    cache = host.state.engine.cache
    if host.backend != "mlx":
        return "the server is not this host's own engine", ""
    if not host.state.runs_engine:
        return (
            "the host did not start this engine, and cannot restart it",
            "run it with --beside-host, which starts an engine for this check",
        )
    if cache is not None and not cache.disk_budget_bytes:
        return "the cache on disk is off", "set backends.mlx.diskCacheBytes above 0"
    if host.process is None and not restart:
        return (
            "the engine of a host that runs is not restarted without being asked to",
            "run it with --restart: running answers get an error, and clients retry",
        )
    return "", ""


def _body(model: str, system: str) -> dict[str, Any]:
    # The mark is what Anthropic's own API needs; others ignore it.
    block = {"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}
    return {
        "model": model,
        "max_tokens": _ANSWER_TOKENS,
        "system": [block],
        "messages": [{"role": "user", "content": "Say hello."}],
    }


def judge(claims: Claims, answers: CacheAnswers, backend: BackendKind, tokens: int) -> None:
    """Turn the answers into claims. Pure but for the narration."""
    for what, answer in (
        ("first", answers.first),
        ("second", answers.second),
        ("control", answers.control),
    ):
        if answer.error:
            claims.failed(
                USAGE,
                f"the {what} request was refused: {answer.error}",
                'see "anyclaude-tui traces list --errors", and the log in ~/.anyclaude/logs',
            )
            claims.rest_not_checked((FILLS, READS, CONTROL, TIMES, DISK))
            return
    if not answers.first.usage.prompt_tokens:
        claims.failed(
            USAGE,
            "the server reports no tokens of the prompt",
            "nobody can tell whether it caches: update that server, or let it report usage in streams"
            ' ("stream_options": {"include_usage": true} is sent)',
        )
        claims.rest_not_checked((FILLS, READS, CONTROL))
        _judge_times(claims, answers, sure=False, tokens=tokens)
        claims.not_checked(DISK, "what comes before it failed")
        return
    claims.ok(USAGE, f"the prompt has {answers.first.usage.prompt_tokens:,} tokens")
    told = backend != "openai" or answers.second.usage.cache_read_input_tokens > 0
    if _judge_counts(claims, answers, backend, told=told):
        _judge_times(claims, answers, sure=backend == "mlx", tokens=tokens)
    else:
        claims.rest_not_checked((TIMES,))
    _judge_restart(claims, answers)


def _judge_counts(claims: Claims, answers: CacheAnswers, backend: BackendKind, *, told: bool) -> bool:
    """Returns whether times can say more."""
    first, second, control = answers.first.usage, answers.second.usage, answers.control.usage
    off = (
        "is the cache on? See backends.NAME.prefixCacheBytes in: anyclaude-tui config show"
        if backend == "mlx"
        else "that server computes most of it again: look for the options of its prefix cache"
    )
    fills = True
    if backend == "openai":
        claims.not_checked(FILLS, "this kind of server does not report what it stores")
    else:
        fills = claims.holds(
            FILLS,
            first.cache_creation_input_tokens > 0,
            f"cache_creation_input_tokens is {_part(first.cache_creation_input_tokens, first)}",
            off,
        )
    if not told:
        claims.warning(
            READS,
            "the server reports no cached tokens (usage.prompt_tokens_details.cached_tokens), so its counts"
            " cannot tell",
            f'see "{TIMES}"; some servers report them by an option, such as vLLM\'s'
            " --enable-prompt-tokens-details",
        )
        claims.not_checked(CONTROL, "the server reports no cached tokens")
        return True
    read = second.cache_read_input_tokens
    if not fills and not read:
        claims.rest_not_checked((READS, CONTROL))
        return False
    reads = claims.holds(
        READS,
        read >= LEAST_READ * second.prompt_tokens,
        f"cache_read_input_tokens is {_part(read, second)}",
        off,
    )
    if not reads:
        claims.rest_not_checked((CONTROL,))
        return False
    return claims.holds(
        CONTROL,
        control.cache_read_input_tokens < read,
        f"of another prompt of {control.prompt_tokens:,} tokens it reads {control.cache_read_input_tokens:,}",
        "the count of cached tokens is the same for a prompt that was never sent: do not trust this server's"
        " figures",
    )


def _judge_times(claims: Claims, answers: CacheAnswers, *, sure: bool, tokens: int) -> None:
    first, second, control = (answer.ttft_s for answer in (answers.first, answers.second, answers.control))
    times = (
        f"TTFT {seconds(first)} first, {seconds(second)} second, {seconds(control)} control"
        f" ({percent(second / control if control else None)} of the control's)"
    )
    shown = answers.first.usage.prompt_tokens
    if shown and shown < tokens * LEAST_SHOWN:
        claims.not_checked(
            TIMES,
            f"{times}; the model's template shows {shown:,} of about {tokens:,} tokens, too little to tell",
        )
    elif control < MEASURABLE_S:
        claims.not_checked(TIMES, f"{times}; too short to tell", f"use a longer prompt: --head {tokens * 4}")
    elif second <= FASTER * control:
        claims.ok(TIMES, times)
    elif sure:
        claims.failed(
            TIMES,
            times,
            "what is counted as read is computed all the same, or the machine is busy: end what else runs and"
            " repeat it",
        )
    else:
        claims.warning(TIMES, times, "this server computes such a prompt again, or is busy: repeat it")


def _judge_restart(claims: Claims, answers: CacheAnswers) -> None:
    again = answers.again
    refused = f"the request after the restart was refused: {again.error}" if again and again.error else ""
    if failure := answers.failure or refused:
        claims.failed(
            DISK,
            failure,
            "see why: anyclaude-tui events, and the log in ~/.anyclaude/logs/engine.log",
        )
        return
    if again is None:
        claims.not_checked(DISK, answers.why_not, answers.how)
        return
    usage: Usage = again.usage
    claims.holds(
        DISK,
        usage.cache_read_input_tokens >= LEAST_READ * usage.prompt_tokens,
        f"cache_read_input_tokens is {_part(usage.cache_read_input_tokens, usage)}, TTFT"
        f" {seconds(again.ttft_s)}",
        "see the disk's size and what was written today in the Cache pane: the limits are"
        " backends.mlx.diskCacheBytes and diskWritesPerDayBytes",
    )


def _part(count: int, usage: Usage) -> str:
    return f"{count:,} of {usage.prompt_tokens:,}"

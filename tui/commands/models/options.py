"""The command line of `anyclaude-tui models`; imports nothing heavy, so that help comes at once."""

from __future__ import annotations

from typing import Annotated

import typer

from tui.commands.arguments import argument
from tui.commands.invocation import Invocation
from tui.commands.options import on_disk, on_host

models = typer.Typer(
    help="""Models on this machine: what is there and what fits, download, removal, speed.

Looks into the stores of Hugging Face, LM Studio and Ollama, and into the folders of "modelFolders" in the
configuration. Nothing of a model is loaded or run, but by "show" and "bench".

\b
Examples
  anyclaude-tui models list                 what is here, and with how much context it fits
  anyclaude-tui models list --suggest       which model to take, by memory, with sources
  anyclaude-tui models show NAME            one of them in detail
  anyclaude-tui models use NAME             load it in the running host
  anyclaude-tui models pull ORG/NAME        download, or continue a download
  anyclaude-tui models bench NAME           prefill and decode speed, beside earlier runs
  anyclaude-tui models rm NAME              what would go; asks first
""",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
Model = Annotated[
    str, argument("NAME", "A hub id, a name or a part of it from the list, or a path.", path=True)
]


@models.command("list")
@on_disk
def models_list(
    invocation: Invocation,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Models for Claude Code by memory, with their sources.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the models of all stores, also those that cannot be used, with the reason.

    "weights" is the quantization, "tools" the tool-call format, "cache" what is kept of a prompt: KV of each
    token, a latent, a window of the last tokens, or a state. "fits" is the context in tokens that fits beside
    the weights on this machine. All of it is read from configurations and headers; "show" asks MLX as well.
    """
    if suggest:
        from tui.commands.models.suggesting import run_models_suggest

        raise typer.Exit(run_models_suggest(invocation, as_json=as_json))
    from tui.commands.models.listing import run_models_list

    raise typer.Exit(run_models_list(invocation, as_json=as_json))


@models.command("show")
@on_disk
def models_show(
    invocation: Invocation,
    name: Model,
    as_json: Json = False,
) -> None:
    """Show one model in detail: files, weights, window, chat template, and what fits.

    Also asks MLX, in a process of its own: the model is built without its weights in memory, so this runs
    beside an engine. Exit code 1 if no engine can run it here.
    """
    from tui.commands.models.showing import run_models_show

    raise typer.Exit(run_models_show(invocation, name, as_json=as_json))


@models.command("use")
@on_host
def models_use(
    invocation: Invocation,
    name: Model,
    now: Annotated[
        bool, typer.Option("--now", help="Do not wait for the requests that run; they are repeated.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Load another model in the running host, after the requests that run.

    Claude Code goes on with it: requests meanwhile are told to retry. What was chosen for the model before
    (toolFormat, thinkingFormat, contextTokens, adapter, draftModel) does not count for another one. Where it
    does not come up, the one before is loaded again. Until the host ends; "model" in your file is for good.

    Exit code 1 if no host runs, or it cannot load the model.
    """
    from tui.commands.models.using import run_models_use

    raise typer.Exit(run_models_use(invocation, name, now=now, as_json=as_json))


@models.command("pull")
@on_disk
def models_pull(
    invocation: Invocation,
    hub_id: Annotated[str, argument("ORG/NAME", "The model's id on Hugging Face.")],
    revision: Annotated[str, typer.Option(metavar="NAME", help="A branch, tag or commit of it.")] = "main",
    as_json: Json = False,
) -> None:
    """Download a model into Hugging Face's cache, from which every start can use it.

    Only what the engine needs is downloaded. What was interrupted continues where it ended, and each large
    file is compared with the hash that the hub names. HF_ENDPOINT names a mirror, HF_TOKEN (or hf auth login)
    an account, HF_HOME another folder; with HF_HUB_OFFLINE=1 only this machine is looked at. The folder is
    printed on stdout.
    """
    from tui.commands.models.pulling import run_models_pull

    raise typer.Exit(run_models_pull(invocation, hub_id, revision=revision, as_json=as_json))


@models.command("rm")
@on_disk
def models_rm(
    invocation: Invocation,
    name: Model,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove it without a question.")] = False,
    as_json: Json = False,
) -> None:
    """Remove a model from its store: shows what would go, and asks.

    Nothing outside of the stores is removed, nor a model that a running host has. Without a terminal it needs
    --yes, which takes no part of a name. Exit code 1 if the answer was no.
    """
    from tui.commands.models.removing import run_models_rm

    raise typer.Exit(run_models_rm(invocation, name, yes=yes, as_json=as_json))


@models.command("bench")
@on_disk
def models_bench(
    invocation: Invocation,
    name: Annotated[
        str | None,
        argument("NAME", "As for show.  [the configured model]", path=True, show_default=False),
    ] = None,
    lengths: Annotated[
        str, typer.Option(metavar="LIST", help="Lengths of prompts in tokens, such as 1k,4k,32k.")
    ] = "1k,4k,16k",
    decode: Annotated[int, typer.Option(metavar="N", min=1, help="Tokens of each answer.")] = 64,
    seconds: Annotated[
        float, typer.Option(metavar="S", min=1, help="At most so long, without loading the model.")
    ] = 300,
    beside_host: Annotated[
        bool, typer.Option("--beside-host", help="Also beside a host, whose model may leave no memory.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure prefill and decode speed at several lengths, in an engine of its own.

    Each prompt is read cold, then warm from the prefix cache; each answer is decoded without and with a
    grammar. Prints a table and a plot, keeps each run in the state folder, and compares it with the last one
    of the same weights on this machine. Ctrl-C keeps what was measured until then.
    """
    from tui.commands.models.benching import BenchOptions, lengths_of, run_models_bench

    options = BenchOptions(lengths_of(lengths), decode, seconds)
    raise typer.Exit(
        run_models_bench(invocation, name or "", options, as_json=as_json, beside_host=beside_host)
    )

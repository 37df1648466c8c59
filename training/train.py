"""Trains the bundled model: tokenizer, network, weights.

    python -m training.train [--out FOLDER] [--from FOLDER] [--seed N] [--tokens N]

From scratch, or with `--from` starting with the weights and the tokenizer of a model folder, such as
`engine/bundled_model`: a few million tokens at a lower `--rate` train it on new data. Use another seed than
those weights had, or it sees the same conversations again.

Needs PyTorch (`pip install -e '.[train]'`). With the same seed, machine and versions the model is the same;
elsewhere floating point sums differ, and so do the weights. Every few minutes it saves its state to
`training.pt` in the output folder, and continues from there when it is started again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from engine.bundled_model import FOLDER
from training.conversations import Conversations
from training.encoding import (
    END,
    Encoder,
    read_tokenizer,
    save_tokenizer,
    template_text,
    token_id,
    train_tokenizer,
)
from training.initial_weights import set_initial_weights
from training.muon import Muon
from training.network import Network, Shape

_POOL = 256  # conversations sorted by length together, so that a batch has little padding
_BATCH_TOKENS = 6144
_LONGEST = 900  # tokens; longer conversations are skipped
_PEAK_RATE, _WARM_UP, _COOL_DOWN = 2e-3, 60, 0.85  # share of the training over which the rate falls to zero
_SAVE_EVERY_S = 240.0

Batch = tuple[Tensor, Tensor]


def batches(encoder: Encoder, seed: int) -> Iterator[Batch]:
    """Endless batches of token ids and which of them are trained, both of shape (rows, length)."""
    source = Conversations(seed)
    order = torch.Generator().manual_seed(seed)
    while True:
        pool = [encoder.ids(source.draw()) for _ in range(_POOL)]
        pool = sorted((pair for pair in pool if len(pair[0]) <= _LONGEST), key=lambda pair: len(pair[0]))
        groups: list[list[tuple[list[int], list[bool]]]] = [[]]
        for pair in pool:
            if (len(groups[-1]) + 1) * len(pair[0]) > _BATCH_TOKENS:
                groups.append([])
            groups[-1].append(pair)
        for at in torch.randperm(len(groups), generator=order).tolist():
            yield _padded(groups[at])


def _padded(group: list[tuple[list[int], list[bool]]]) -> Batch:
    longest = max(len(ids) for ids, _ in group)
    ids = torch.zeros((len(group), longest), dtype=torch.long)
    own = torch.zeros((len(group), longest), dtype=torch.bool)
    for row, (tokens, writes) in enumerate(group):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        own[row, : len(tokens)] = torch.tensor(writes)
    return ids, own


def loss_of(network: Network, batch: Batch) -> tuple[Tensor, float]:
    """The mean loss over the model's own tokens, and the share of answers that are right token by token."""
    ids, own = batch
    wanted = own[:, 1:]
    logits = network.logits(network(ids[:, :-1])[wanted])
    target = ids[:, 1:][wanted]
    loss = functional.cross_entropy(logits, target)
    with torch.no_grad():
        wrong = torch.zeros_like(ids[:, 1:])
        wrong[wanted] = (logits.argmax(-1) != target).long()
        starts = wanted & ~own[:, :-1]
        answer = starts.reshape(-1).cumsum(0)[wanted.reshape(-1)]
        misses = torch.zeros(int(answer.max()) + 1).index_add_(0, answer, wrong[wanted].float())
        right = float((misses[1:] == 0).float().mean())
    return loss, right


def learning_rate(done: float, peak: float = _PEAK_RATE) -> float:
    """The rate after a share `done` of the training: constant, then linear to zero."""
    return peak * min(1.0, max(0.0, 1 - done) / _COOL_DOWN)


def optimizers(network: Network) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers (Jordan et al. 2024), AdamW for everything else."""
    layers = network.model.layers
    matrices = [parameter for parameter in layers.parameters() if parameter.ndim == 2]
    others = [parameter for parameter in layers.parameters() if parameter.ndim != 2]
    others += [network.model.embed_tokens.weight, network.model.norm.weight]
    return [
        Muon(matrices, lr=_PEAK_RATE, weight_decay=0.01),
        torch.optim.AdamW(others, lr=_PEAK_RATE, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def train(
    out: Path,
    tokenizer: Tokenizer,
    seed: int,
    token_budget: int,
    *,
    start: Path | None = None,
    peak: float = _PEAK_RATE,
) -> Network:
    """Train until `token_budget` tokens were seen, continuing from `training.pt` in `out` if it exists.

    Otherwise training begins with the weights of the model folder `start`, or with new ones. Each time that
    it saves its state, it also writes the model, so that it can be evaluated.
    """
    torch.manual_seed(seed)
    shape = Shape(vocab_size=tokenizer.get_vocab_size())
    encoder = Encoder(tokenizer, template_text())
    network = Network(shape)
    if start is None:
        set_initial_weights(network, shape, seed)
    else:
        network.load_state_dict(load_file(start / "model.safetensors"))
    rules = optimizers(network)
    state: dict[str, Any] = {"step": 0, "tokens": 0}
    saved = out / "training.pt"
    if saved.is_file():
        held = torch.load(saved, weights_only=False)
        state = held["state"]
        network.load_state_dict(held["network"])
        for rule, kept in zip(rules, held["rules"], strict=True):
            rule.load_state_dict(kept)
        print(f"going on at step {state['step']}", file=sys.stderr)
    source = batches(encoder, seed + 1)
    for _ in range(
        state["step"]
    ):  # so that an interrupted training sees the same data as an uninterrupted one
        next(source)
    began = last_saved = time.monotonic()
    losses: list[float] = []
    rights: list[float] = []
    seen = 0
    while state["tokens"] < token_budget:
        batch = next(source)
        rate = learning_rate(state["tokens"] / token_budget, peak) * min(1.0, (state["step"] + 1) / _WARM_UP)
        loss, right = loss_of(network, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for rule in rules:
            for group in rule.param_groups:
                group["lr"] = rate
            rule.step()
            rule.zero_grad(set_to_none=True)
        state["step"] += 1
        state["tokens"] += batch[0].numel()
        losses.append(loss.item())
        rights.append(right)
        seen += batch[0].numel()
        if state["step"] % 20 == 0:
            speed = seen / (time.monotonic() - began)
            print(
                f"step {state['step']}, {state['tokens'] / 1e6:.1f} of {token_budget / 1e6:.0f}M tokens,"
                f" loss {fmean(losses):.4f}, answers right {fmean(rights):.3f}, {speed:.0f} tokens/s",
                file=sys.stderr,
                flush=True,
            )
            losses.clear()
            rights.clear()
        if time.monotonic() - last_saved > _SAVE_EVERY_S:
            last_saved = time.monotonic()
            _save_state(saved, network, rules, state)
            write_model(out, network, tokenizer)
    _save_state(saved, network, rules, state)
    return network


def _save_state(
    path: Path, network: Network, rules: list[torch.optim.Optimizer], state: dict[str, Any]
) -> None:
    held = {
        "state": state,
        "network": network.state_dict(),
        "rules": [rule.state_dict() for rule in rules],
    }
    torch.save(held, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


def write_model(out: Path, network: Network, tokenizer: Tokenizer) -> None:
    """Write the folder that mlx-lm loads; the chat template and the card are source files."""
    shape = Shape(vocab_size=tokenizer.get_vocab_size())
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(weights, str(out / "model.safetensors"), metadata={"format": "mlx"})
    config = shape.config(token_id(tokenizer, END))
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_tokenizer(tokenizer, out, shape.max_position_embeddings)
    if out.resolve() != FOLDER:
        shutil.copy(FOLDER / "chat_template.jinja", out)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `python -m training.train`."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=Path, default=Path("build/bundled_model"), help="folder to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=44_000_000, help="tokens to train on, padding included")
    parser.add_argument(
        "--from",
        type=Path,
        dest="start",
        metavar="FOLDER",
        help="model folder whose weights to train on from",
    )
    parser.add_argument("--rate", type=float, default=_PEAK_RATE, help="highest learning rate")
    chosen = parser.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    start: Path | None = chosen.start
    tokenizer = train_tokenizer(chosen.seed) if start is None else read_tokenizer(start)
    network = train(chosen.out, tokenizer, chosen.seed, chosen.tokens, start=start, peak=chosen.rate)
    write_model(chosen.out, network, tokenizer)
    print(chosen.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""How the guide learns: a warm-up of the words, then a phase of training all layers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from offtui.guide.train_data import IGNORED, Batch, Conversations
from offtui.guide.train_model import Guide


@dataclass(frozen=True)
class Phase:
    """A stretch of training with its own mix of batches and learning rates."""

    name: str
    steps: int
    warm_steps: int
    """Steps over which the learning rate rises; it then falls to nothing along half a cosine."""
    mix: str
    """The kinds of ten batches in turn: s short, w whole single turns, l long conversations."""
    whole_rows: int
    long_rows: int
    long_tokens: int
    """Of a long conversation, up to the context that the file says it was trained with."""
    muon_rate: float
    adamw_rate: float
    taught_rate: float
    """For what the warm-up has taught already."""
    opening_weight: float
    """How much the first token of an answer counts beside the mean of all its tokens."""
    dropout: float

    def draw(self, data: Conversations, step: int) -> Batch:
        """The batch of this step, of some 2000 tokens whatever its kind."""
        match self.mix[step % len(self.mix)]:
            case "s":
                return data.short(112)
            case "w":
                return data.whole(self.whole_rows)
            case _:
                return data.long(self.long_rows, self.long_tokens)

    def rate_at(self, step: int) -> float:
        """Share of the learning rates at this step."""
        return min(1.0, (step + 1) / self.warm_steps) * 0.5 * (1 + math.cos(math.pi * step / self.steps))


LEARN = Phase(
    "learn",
    1500,
    60,
    "swlwswlwsw",
    26,
    4,
    512,
    muon_rate=0.015,
    adamw_rate=3e-3,
    taught_rate=6e-4,
    opening_weight=1.0,
    dropout=0.05,
)
"""The whole training after the warm-up."""
POLISH = Phase(
    "polish",
    300,
    20,
    "lwlslwlslw",
    26,
    1,
    2000,
    muon_rate=0.005,
    adamw_rate=1e-3,
    taught_rate=3e-4,
    opening_weight=1.0,
    dropout=0.03,
)
"""A shorter and gentler one for weights that are there already: conversations as long as the context."""


def warm_up(model: Guide, data: Conversations, steps: int = 1000) -> None:
    """Teach the words which topic they point to, through the attention of the first layer alone.

    It starts as a fading mean of the words read, so what is learnt is a bag of words of the last question. In under two
    minutes that names the topic of nine unseen questions of ten by the first token of its answer; the other layers
    start from there.
    """
    model.average_words()
    model.set_dropout(0.1)
    model.train()
    optimizer = torch.optim.AdamW(
        [
            {"params": [model.embedding.weight, model.output.weight], "lr": 1e-2},
            {"params": list(model.blocks[0].attn.parameters()), "lr": 1e-3},
        ],
        weight_decay=0.01,
    )
    rates = [group["lr"] for group in optimizer.param_groups]
    for step in range(steps):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * min(1.0, (step + 1) / 20) * (1.01 - step / steps)
        batch = data.long(6, 384) if step % 3 == 2 else data.short(128)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = opening_loss(model, model.hidden(batch.tokens, batch.positions, n_blocks=1), batch)
        model.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % 200 == 0:
            print(f"warm-up {step + 1:5d}  opening {loss.item():.4f}", flush=True)


def losses(model: Guide, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross entropy of all tokens of the answers, and of their first ones alone."""
    hidden = model.hidden(batch.tokens, batch.positions)
    answered = batch.targets != IGNORED
    answer_loss = functional.cross_entropy(model.output(hidden[answered]), batch.targets[answered])
    return answer_loss, opening_loss(model, hidden, batch)


def opening_loss(model: Guide, hidden: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Cross entropy of the first token of each answer, from the hidden states [batch, time, n_embd]."""
    asked = batch.openings != IGNORED
    return functional.cross_entropy(model.output(hidden[asked]), batch.openings[asked])


def optimizers(model: Guide, phase: Phase) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the matrices of the layers, AdamW for the rest, slow where the warm-up has already taught something.

    In the first minutes Muon reached the same loss in three quarters of the steps of AdamW alone.
    """
    taught = [model.embedding.weight, *model.blocks[0].attn.parameters()]
    settled = {id(parameter) for parameter in taught}
    matrices = [weight for weight in model.blocks.parameters() if weight.dim() == 2 and id(weight) not in settled]
    settled |= {id(parameter) for parameter in matrices}
    others = [parameter for parameter in model.parameters() if id(parameter) not in settled]
    both = (
        torch.optim.Muon(matrices, lr=phase.muon_rate, weight_decay=0.05, momentum=0.95),
        torch.optim.AdamW(
            [{"params": taught, "lr": phase.taught_rate}, {"params": others, "lr": phase.adamw_rate}],
            betas=(0.9, 0.98),
            weight_decay=0.01,
        ),
    )
    for optimizer in both:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return both

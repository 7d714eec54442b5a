"""Train the guide from scratch and write guide.gguf: `python -m offtui.guide.train`.

Needs the extra called train (`pip install 'offtui[train]'`) and the corpus, which is in the repository only.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer

from offtui import paths
from offtui.guide.corpus import load_all
from offtui.guide.train_data import Conversations, train_tokenizer
from offtui.guide.train_export import export
from offtui.guide.train_model import Guide, Shape
from offtui.guide.train_phases import LEARN, POLISH, Phase, losses, optimizers, warm_up

N_VOCAB = 2800


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    seed: int
    threads: int
    resume: Path | None
    """Weights to go on with, instead of learning from nothing."""
    learn: int | None
    """Steps of the long phase; by default all of them, or none where weights are gone on with."""
    polish: int
    """Steps of the last phase."""
    output: Path
    checkpoint: Path


class Training:
    """A model, its data, and what is kept on disk of it."""

    PRINT_EVERY_STEPS = 20
    SAVE_EVERY_S = 180.0

    def __init__(self, options: Options) -> None:
        torch.manual_seed(options.seed)
        torch.set_num_threads(options.threads)
        languages = load_all()
        self._options = options
        self._tokenizer: Tokenizer = train_tokenizer(languages, N_VOCAB)
        self._data = Conversations(languages, self._tokenizer, random.Random(options.seed))
        self._model = Guide(Shape(self._tokenizer.get_vocab_size()))
        self._started = self._saved = time.monotonic()

    def run(self) -> None:
        """Train, and write the GGUF and the last checkpoint."""
        if self._options.resume is None:
            warm_up(self._model, self._data)
            usual = LEARN.steps
        else:
            self._model.load_state_dict(torch.load(self._options.resume, weights_only=True))
            usual = 0
        learn = usual if self._options.learn is None else self._options.learn
        self._run_phase(replace(LEARN, steps=learn))
        self._run_phase(replace(POLISH, steps=self._options.polish))
        self._save(self._options.output)
        print(f"{self._options.output}: {self._options.output.stat().st_size / 1e6:.2f} MB")

    def _run_phase(self, phase: Phase) -> None:
        self._model.set_dropout(phase.dropout)
        self._model.train()
        stepped = optimizers(self._model, phase)
        answers = openings = 0.0
        for step in range(phase.steps):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                answer, opening = losses(self._model, phase.draw(self._data, step))
            self._model.zero_grad()
            (answer + phase.opening_weight * opening).backward()
            torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
            for optimizer in stepped:
                for group in optimizer.param_groups:
                    group["lr"] = group["initial_lr"] * phase.rate_at(step)
                optimizer.step()
            answers, openings = answers + answer.item(), openings + opening.item()
            if (step + 1) % self.PRINT_EVERY_STEPS == 0:
                self._report(phase, step + 1, answers / self.PRINT_EVERY_STEPS, openings / self.PRINT_EVERY_STEPS)
                answers = openings = 0.0
            if time.monotonic() - self._saved > self.SAVE_EVERY_S:
                self._save(self._options.checkpoint.with_suffix(".gguf"))

    def _report(self, phase: Phase, step: int, answer: float, opening: float) -> None:
        elapsed = time.monotonic() - self._started
        print(f"{phase.name} {step:5d}  answer {answer:.4f}  opening {opening:.4f}  {elapsed:.0f} s", flush=True)

    def _save(self, gguf: Path) -> None:
        self._options.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        torch.save(self._model.state_dict(), self._options.checkpoint.with_suffix(".pt"))
        export(self._model, self._tokenizer, gguf)
        self._saved = time.monotonic()


def _parse() -> Options:
    parser = argparse.ArgumentParser(prog="python -m offtui.guide.train", description="Train the guide from scratch.")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default %(default)s)")
    parser.add_argument(
        "--resume",
        type=Path,
        metavar="CHECKPOINT.pt",
        help="go on with these weights instead of learning from nothing; without --learn they are only polished",
    )
    parser.add_argument(
        "--learn",
        type=int,
        metavar="STEPS",
        help=f"steps of the long phase (default {LEARN.steps}, with --resume none)",
    )
    parser.add_argument(
        "--polish", type=int, default=POLISH.steps, metavar="STEPS", help="steps of the last one (default %(default)s)"
    )
    parser.add_argument(
        "--output", type=Path, default=paths.guide_model(), help="the GGUF to write (default: the shipped one)"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        default=Path(tempfile.gettempdir()) / "offtui-guide-checkpoint",
        help="where to keep a .pt and a .gguf of the state in between (default %(default)s)",
    )
    return Options(**vars(parser.parse_args()))


if __name__ == "__main__":
    Training(_parse()).run()

"""The training of mini: first the parts see, then the whole answers, then the second stage.

1. seeing: V-JEPA and the vision tower learn from the drawn world's own targets.
2. locating: V-JEPA is frozen from here on, as in the released model. The resampler learns to find
   gaze in the frame; each batch of frames serves several draws of gaze.
3. answering: everything but V-JEPA learns to answer. What an option has to know (what is looked at,
   its own letter, whether it is right) are targets of their own: without them words are learned
   long before letters. At first many questions carry a hint in words.
4. rounding: the same, with the decoder's matrices rounded as an int4 bundle rounds them: a decoder
   this narrow is hurt by rounding that it never saw.
5. second stage: LoRA on the decoder's q_proj and v_proj, all else frozen; rounded as well.

Every batch and every draw is a function of the seed and the step, so that a run that was
interrupted goes on exactly as it would have.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from export.mini.clip_plan import DrawnClips
from export.mini.clips import ClipBatch, ClipStream
from export.mini.lora import add_lora
from export.mini.model import Answers, MiniModel
from export.mini.prompts import IGNORED, PromptWriter, mini_tokenizer
from export.mini.rounding import add_rounding, remove_rounding
from export.mini.sizes import MiniSizes
from export.mini.supports import (
    CELL_REACH,
    GAZE_REACH,
    Supports,
    cell_centres,
    drawn_gaze,
    known_at,
)

Stage = Literal["seeing", "locating", "answering", "rounding", "second stage"]

STAGES: tuple[Stage, ...] = ("seeing", "locating", "answering", "rounding", "second stage")
WHOLE: tuple[Stage, ...] = ("answering", "rounding")  # all but V-JEPA learns


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How long each stage lasts, in steps, and how fast it learns."""

    seed: int = 0
    seeing: int = 400
    locating: int = 150
    answering: int = 3800
    rounding: int = 1200
    second_stage: int = 120
    rates: tuple[float, ...] = (1.5e-3, 1.5e-3, 1e-3, 8e-4, 1e-3)
    warm_up: int = 50
    plateau: float = 0.2  # share of a stage before its rate falls
    gazes: int = 8  # draws of gaze, and so steps of the resampler, per batch while locating
    hints: float = 0.6
    hinted_steps: int = 700
    seen_steps: int = 24  # of a batch, for the vision tower to learn from
    support: float = 0.3  # weight of the parts' own targets while the whole learns to answer
    option_weight: float = 3.0  # within those, of the decoder's judgement of each option
    clips: DrawnClips = field(default_factory=DrawnClips)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Steps in each stage, in the order of STAGES."""
        return self.seeing, self.locating, self.answering, self.rounding, self.second_stage

    @property
    def total(self) -> int:
        return sum(self.lengths)

    def stage(self, step: int) -> tuple[Stage, int, int]:
        """The stage of a step (from 0), the step's number in it, and the stage's length."""
        for stage, length in zip(STAGES, self.lengths, strict=True):
            if step < length or stage == STAGES[-1]:
                return stage, step, length
            step -= length
        raise AssertionError("the last stage takes all that is left")

    def drawn(self, stage: Stage) -> DrawnClips:
        """The clips of a stage."""
        if stage in ("seeing", "locating"):
            return self.clips.seeing
        return self.clips if stage == "answering" else self.clips.last

    def rate(self, step: int) -> float:
        """The learning rate of a step: warm-up, a plateau, then half a cosine in every stage."""
        stage, number, length = self.stage(step)
        peak = self.rates[STAGES.index(stage)]
        warm = min(1.0, (number + 1) / self.warm_up)
        falling = max(0.0, (number - self.plateau * length) / ((1 - self.plateau) * length))
        return peak * warm * (0.03 + 0.97 * (1 + math.cos(math.pi * falling)) / 2)


@dataclass(frozen=True, slots=True)
class StepReport:
    """What a step of training says of itself: losses and shares by name."""

    step: int
    stage: Stage
    figures: dict[str, float]


class Trainer:
    """A model in training, from a plan; `state` and `restore` carry it across interruptions."""

    def __init__(self, plan: TrainingPlan, sizes: MiniSizes) -> None:
        torch.manual_seed(plan.seed)
        self.plan = plan
        self.step = 0
        self.tokenizer = mini_tokenizer(sizes.vocabulary)
        writer = PromptWriter(self.tokenizer)
        self.model = MiniModel(sizes, self.tokenizer, writer.before_video)
        self.supports = Supports(sizes, self.tokenizer)
        self._stage: Stage | None = None
        self._optimizer: torch.optim.Optimizer | None = None

    def run(self, until: int, workers: int = 1) -> Iterator[StepReport]:
        """Train up to step `until`, reporting after every step. `workers`: processes that draw."""
        while self.step < until:
            self._enter_stage()
            stage, number, _ = self.plan.stage(self.step)
            for batch in self._batches(stage, number, workers):
                yield self._learn(stage, batch)
                if self.step >= until or self.plan.stage(self.step)[0] != stage:
                    break

    def state(self) -> dict[str, object]:
        """All that is needed to go on: tensors and numbers only."""
        optimizer = None if self._optimizer is None else self._optimizer.state_dict()
        return {
            "step": self.step,
            "stage": self._stage,
            "model": self.model.state_dict(),
            "supports": self.supports.state_dict(),
            "optimizer": optimizer,
        }

    def restore(self, state: dict[str, object]) -> None:
        """Go on from what `state` gave."""
        self.step = state["step"]
        if state["stage"] is not None:
            self._begin(state["stage"])
            self._optimizer.load_state_dict(state["optimizer"])
        self.model.load_state_dict(state["model"])
        self.supports.load_state_dict(state["supports"])

    def _batches(self, stage: Stage, number: int, workers: int) -> Iterator[ClipBatch]:
        plan = self.plan
        hints = plan.hints if stage == "answering" else 0.0
        stream = ClipStream(
            self.tokenizer,
            (plan.seed, STAGES.index(stage)),
            number,
            plan.drawn(stage),
            hints,
            plan.hinted_steps,
        )
        prefetch = 4 if workers else None
        return iter(
            DataLoader(stream, batch_size=None, num_workers=workers, prefetch_factor=prefetch)
        )

    def _enter_stage(self) -> None:
        stage = self.plan.stage(self.step)[0]
        if stage != self._stage:
            self._begin(stage)

    def _begin(self, stage: Stage) -> None:
        """Freeze what does not learn in this stage, and start a fresh optimizer."""
        model = self.model
        self._stage = stage
        remove_rounding(model.qwen)
        model.requires_grad_(stage in ("seeing", *WHOLE))
        model.vjepa.requires_grad_(stage == "seeing")
        model.resampler.requires_grad_(stage in ("locating", *WHOLE))
        self.supports.requires_grad_(stage != "second stage")
        if stage == "second stage":
            add_lora(model.qwen.model.language_model, self.plan.seed)
        if stage in ("rounding", "second stage"):
            add_rounding(model.qwen)
        parameters = [
            parameter
            for part in (model, self.supports)
            for parameter in part.parameters()
            if parameter.requires_grad
        ]
        matrices = [parameter for parameter in parameters if parameter.ndim > 1]
        others = [parameter for parameter in parameters if parameter.ndim <= 1]
        self._optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}],
            betas=(0.9, 0.98),
        )

    def _learn(self, stage: Stage, batch: ClipBatch) -> StepReport:
        for group in self._optimizer.param_groups:
            group["lr"] = self.plan.rate(self.step)
        if stage == "locating":
            figures = self._locate(batch)
        else:
            with torch.autocast("cpu", torch.bfloat16):
                loss, figures = self._loss(stage, batch)
            self._update(loss)
        self.step += 1
        return StepReport(self.step, stage, figures)

    def _update(self, loss: Tensor) -> None:
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        learning = [each for group in self._optimizer.param_groups for each in group["params"]]
        nn.utils.clip_grad_norm_(learning, 1.0)
        self._optimizer.step()

    def _locate(self, batch: ClipBatch) -> dict[str, float]:
        with torch.no_grad():
            features = self.model.features(batch.frames.flatten(0, 1))
        for draw in range(self.plan.gazes):
            loss, found = self._gaze_loss(batch, features, draw)
            self._update(loss)
        return {"gaze": float(loss.detach()), "found": found}

    def _loss(self, stage: Stage, batch: ClipBatch) -> tuple[Tensor, dict[str, float]]:
        model, supports = self.model, self.supports
        frames = batch.frames.flatten(0, 1)
        features = model.features(frames)
        visual = self._visual(frames)
        figures: dict[str, float] = {}
        loss = visual.new_zeros((), dtype=torch.float32)
        if stage != "second stage":
            cells = known_at(batch, cell_centres(batch), CELL_REACH)
            looks = supports.visual_loss(visual, cells, model.words)
            loss = loss + looks
            figures["visual"] = float(looks.detach())
        if stage == "seeing":
            seen, places = supports.features_loss(features, cells)
            figures |= {"features": float(seen.detach()), "places": float(places.detach())}
            return loss + seen + 2.0 * places, figures
        answers = answer(model, batch, features, visual)
        wanted = batch.targets[batch.targets != IGNORED]
        words = F.cross_entropy(answers.logits.float(), wanted)
        right = (answers.logits.detach().argmax(dim=-1) == wanted).float().mean()
        figures |= {"words": float(words.detach()), "right": float(right)}
        if stage in WHOLE:
            gazes, found = self._gaze_loss(batch, features)
            loss = loss + gazes
            figures |= {"gaze": float(gazes.detach()), "found": found}
            options = supports.option_loss(answers.options, batch.marks[batch.marks != IGNORED])
            watched = supports.watched_loss(answers.options, batch, model.words)
            figures |= {"options": float(options.detach()), "watched": float(watched.detach())}
            letters = supports.letter_loss(answers.options, batch, model.words)
            loss = loss + self.plan.option_weight * options + watched + letters
        return words + self.plan.support * loss, figures

    def _visual(self, frames: Tensor) -> Tensor:
        """Visual embeddings; the vision tower learns from some of a long clip's steps only."""
        if frames.shape[0] <= self.plan.seen_steps:
            return self.model.visual(frames)
        random = torch.Generator().manual_seed(self.plan.seed * 999_983 + self.step)
        order = torch.randperm(frames.shape[0], generator=random)
        learning, other = order[: self.plan.seen_steps], order[self.plan.seen_steps :]
        with torch.no_grad():
            rest = self.model.visual(frames[other])
        visual = torch.cat([self.model.visual(frames[learning]), rest])
        return visual[order.argsort()]

    def _gaze_loss(self, batch: ClipBatch, features: Tensor, draw: int = 0) -> tuple[Tensor, float]:
        number = self.step * self.plan.gazes + draw
        random = torch.Generator().manual_seed(self.plan.seed * 1_000_003 + number)
        gaze = drawn_gaze(batch, random)
        known = known_at(batch, gaze.unsqueeze(2), GAZE_REACH)
        gaze = gaze.flatten(0, 1)
        residuals = self.model.residuals(features, gaze, torch.ones(gaze.shape[0]))
        return self.supports.gaze_loss(residuals, gaze, known)


def answer(model: MiniModel, batch: ClipBatch, features: Tensor, visual: Tensor) -> Answers:
    """Answers to a batch, from features and embeddings of all steps (B * S, CELLS, ...)."""
    shape = batch.gazed.shape
    residuals = model.residuals(features, batch.gaze.flatten(0, 1), batch.gazed.flatten().float())
    return model.answers(
        visual.unflatten(0, shape).flatten(1, 2),
        residuals.unflatten(1, shape).flatten(2, 3),
        batch,
    )

"""The training of mini: first the parts see, then the whole answers, then the second stage.

1. seeing: V-JEPA and the vision tower learn from the drawn world's own targets.
2. locating: V-JEPA is frozen from here on, as in the released model. The resampler learns to find
   gaze in the frame; each batch of frames serves several draws of gaze.
3. answering: everything but V-JEPA learns to answer, the resampler slowly. What names have to find
   is told to heads of the decoder, see `lessons`. What a name and an option have to know (what is
   looked at, where it lies, its own letter, whether it is right) are targets of their own: without
   them words are learned long before letters. At first many questions carry a hint in words.
4. rounding: the same, with the decoder's matrices rounded as an int4 bundle rounds them: a decoder
   this narrow is hurt by rounding that it never saw.
5. second stage: LoRA on the decoder's q_proj and v_proj, all else frozen; rounded as well.

Every batch and every draw is a function of the seed and the step, so that a run that was
interrupted goes on exactly as it would have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.data import DataLoader

from export.mini.lessons import Syllabus
from export.mini.lora import add_lora
from export.mini.model import Answers, MiniModel
from export.mini.plan import STAGES, WHOLE, Stage, TrainingPlan
from export.mini.rounding import add_rounding, remove_rounding
from export.mini.sizes import MiniSizes
from export.mini.supports import Supports
from export.mini.world.batches import ClipBatch, ClipStream
from export.mini.world.prompts import IGNORED, NOT_A_THING, PromptWriter, mini_tokenizer
from export.mini.world.seen import (
    CELL_REACH,
    GAZE_REACH,
    WIDE_REACH,
    Known,
    cell_centres,
    drawn_gaze,
    known_of,
    things_at,
)


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
        located = {id(each) for each in model.resampler.parameters()} if stage in WHOLE else set()
        groups = [
            {
                "params": [each for each in parameters if kind(each)],
                "weight_decay": decay,
                "share": share,
            }
            for kind, decay, share in (
                (lambda each: id(each) in located, 0.0, self.plan.located_share),
                (lambda each: id(each) not in located and each.ndim > 1, 0.01, 1.0),
                (lambda each: id(each) not in located and each.ndim <= 1, 0.0, 1.0),
            )
        ]
        self._optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))

    def _learn(self, stage: Stage, batch: ClipBatch) -> StepReport:
        for group in self._optimizer.param_groups:
            group["lr"] = self.plan.rate(self.step) * group["share"]
        if stage == "locating":
            figures = self._locate(batch)
        else:
            with parametrize.cached():  # a matrix is rounded once a step
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
        if stage == "seeing":
            return self._seeing_loss(batch)
        model, supports = self.model, self.supports
        frames = batch.frames.flatten(0, 1)
        features, visual = model.features(frames), self._visual(frames)
        syllabus = Syllabus(batch, len(model.before_video)) if stage in WHOLE else None
        # The vision tower learns from what it sees alone: gradients of answers are noise to it.
        answers = answer(model, batch, features, visual.detach(), syllabus)
        wanted = batch.targets[batch.targets != IGNORED]
        words = F.cross_entropy(answers.logits.float(), wanted)
        right = (answers.logits.detach().argmax(dim=-1) == wanted).float().mean()
        figures = {"words": float(words.detach()), "right": float(right)}
        if syllabus is None:
            return words, figures
        looks, spot = self._visual_loss(batch, visual, WIDE_REACH)
        gazes, found = self._gaze_loss(batch, features)
        lessons = torch.stack(
            [
                lesson.loss(attention)
                for lesson, attention in zip(syllabus.lessons, answers.attention, strict=True)
            ]
        )
        judged = syllabus.judgements()
        facts, distance = supports.names_loss(answers.names, judged)
        spots = supports.spots_loss(answers.names, judged)
        options = supports.option_loss(answers.options, batch)
        watched = supports.watched_loss(answers.options, batch, model.words)
        letters = supports.letter_loss(answers.options, batch, model.words)
        figures |= {"visual": float(looks.detach()), "spot": float(spot.detach())}
        figures |= {"gaze": float(gazes.detach()), "found": found}
        figures |= {"attention": float(lessons.detach().mean()), "facts": float(facts.detach())}
        figures |= {"distance": float(distance.detach()), "spots": float(spots.detach())}
        figures["options"] = float(options.detach())
        support = (
            looks + 2.0 * spot + gazes + lessons.sum() + self.plan.facts_weight * facts + distance
        )
        if self.step >= self.plan.spots_from:
            support = support + spots
        support = support + self.plan.option_weight * options + watched + letters
        return words + self.plan.support * support, figures

    def _visual(self, frames: Tensor) -> Tensor:
        """Visual embeddings; the vision tower learns from some of a long clip's steps only."""
        if frames.shape[0] <= self.plan.seen_steps or self.step >= self.plan.later:
            return self.model.visual(frames)
        random = torch.Generator().manual_seed(self.plan.seed * 999_983 + self.step)
        order = torch.randperm(frames.shape[0], generator=random)
        learning, other = order[: self.plan.seen_steps], order[self.plan.seen_steps :]
        with torch.no_grad():
            rest = self.model.visual(frames[other])
        visual = torch.cat([self.model.visual(frames[learning]), rest])
        return visual[order.argsort()]

    def _visual_loss(self, batch: ClipBatch, visual: Tensor, reach: float) -> tuple[Tensor, Tensor]:
        """What the embeddings of all films say of each cell, and where that thing lies."""
        films = batch.films
        things = things_at(films, cell_centres(films), reach)
        known = known_of(films, things)
        cells = Known(known.kind.flatten(0, 1), known.colour.flatten(0, 1))
        spots = films.places.gather(2, things.clamp(min=0).unsqueeze(3).expand(-1, -1, -1, 2))
        lies = (things != NOT_A_THING).flatten(0, 1)
        looks = self.supports.visual_loss(visual, cells, self.model.words)
        return looks, self.supports.spot_loss(visual, spots.flatten(0, 1), lies)

    def _seeing_loss(self, batch: ClipBatch) -> tuple[Tensor, dict[str, float]]:
        frames = batch.frames.flatten(0, 1)
        features, visual = self.model.features(frames), self.model.visual(frames)
        looks, spot = self._visual_loss(batch, visual, CELL_REACH)
        known = known_of(batch, things_at(batch, cell_centres(batch), CELL_REACH))
        cells = Known(known.kind.flatten(0, 1), known.colour.flatten(0, 1))
        seen, places = self.supports.features_loss(features, cells)
        figures = {"visual": looks, "spot": spot, "features": seen, "places": places}
        loss = looks + 2.0 * spot + seen + 2.0 * places
        return loss, {name: float(each.detach()) for name, each in figures.items()}

    def _gaze_loss(self, batch: ClipBatch, features: Tensor, draw: int = 0) -> tuple[Tensor, float]:
        """`features` (F * S, CELLS, d): of every film, looked at anew."""
        number = self.step * self.plan.gazes + draw
        random = torch.Generator().manual_seed(self.plan.seed * 1_000_003 + number)
        films = batch.films
        gaze = drawn_gaze(films, random)
        known = known_of(films, things_at(films, gaze.unsqueeze(2), GAZE_REACH))
        known = Known(known.kind.flatten(0, 1), known.colour.flatten(0, 1))
        gaze = gaze.flatten(0, 1)
        residuals = self.model.residuals(features, gaze, torch.ones(gaze.shape[0]))
        return self.supports.gaze_loss(residuals, gaze, known)


def answer(
    model: MiniModel,
    batch: ClipBatch,
    features: Tensor,
    visual: Tensor,
    syllabus: Syllabus | None = None,
) -> Answers:
    """Answers to a batch, from what is seen in the steps of its films (F * S, CELLS, ...)."""
    shape = batch.gazed.shape

    def of_clips(values: Tensor) -> Tensor:
        return values.unflatten(0, (-1, shape[1])).repeat_interleave(batch.takes, dim=0)

    gaze, gazed = batch.gaze.flatten(0, 1), batch.gazed.flatten().float()
    residuals = model.residuals(of_clips(features).flatten(0, 1), gaze, gazed)
    return model.answers(
        of_clips(visual).flatten(1, 2),
        residuals.unflatten(1, shape).flatten(2, 3),
        batch,
        syllabus,
    )

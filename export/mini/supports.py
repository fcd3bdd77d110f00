"""What helps mini to learn: targets that are known because the world is drawn.

End-to-end training alone ignores gaze for thousands of steps. So the parts get their own targets:
every cell of the grid says where it is and what lies there, and the resampler says where a gaze
drawn anywhere in the frame rests and on what. Visual embeddings say it in the decoder's own words,
the embeddings of "red" and of "cup": an option that names a thing then resembles the thing. The
heads that read this are thrown away afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from devices.synthetic.questions import LETTERS
from devices.synthetic.shapes import COLOURS, KINDS
from export.mini.clips import NOT_A_THING, ClipBatch
from export.mini.model import CELLS
from export.mini.prompts import IGNORED
from export.mini.sizes import GRID, MiniSizes

CELL_REACH = 0.17  # between a cell's centre and a thing that counts as lying there
GAZE_REACH = 0.16  # between gaze and a thing that counts as looked at
NOTHING = "table"  # the word for a place where nothing lies


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is at given places: kind and colour (N, ...) int64; the last class means nothing."""

    kind: Tensor
    colour: Tensor


class Supports(nn.Module):
    """The heads and their losses."""

    def __init__(self, sizes: MiniSizes, tokenizer: Tokenizer) -> None:
        super().__init__()
        live = sizes.resampler.modules - 1  # the last module's residual reaches no logit
        self.scene = _ThingHead(sizes.vjepa.width)
        self.place = nn.Linear(sizes.vjepa.width, 2 * GRID)
        self.visual = _WordHead(tokenizer)
        self.gazed = nn.ModuleList(_ThingHead(sizes.width) for _ in range(live))
        self.option = nn.Linear(sizes.width, 1)
        self.watched = _WordHead(tokenizer)
        self.register_buffer("letters", _tokens(tokenizer, LETTERS), persistent=False)
        self.where = nn.ModuleList(nn.Linear(sizes.width, 1) for _ in range(live))

    def features_loss(self, features: Tensor, cells: Known) -> tuple[Tensor, Tensor]:
        """V-JEPA features (N, CELLS, d): what lies at each cell, and where it is."""
        rows, columns = self.place(features).split(GRID, dim=-1)
        cell = torch.arange(CELLS).expand(features.shape[0], -1)
        places = _classes(rows, cell // GRID) + _classes(columns, cell % GRID)
        return self.scene.loss(features, cells), places

    def visual_loss(self, visual: Tensor, cells: Known, words: Tensor) -> Tensor:
        """Visual embeddings (N, CELLS, width): what lies at each cell.

        `words`: the decoder's token embeddings (vocabulary, width).
        """
        return self.visual.loss(visual, cells, words)

    def option_loss(self, options: Tensor, marks: Tensor) -> Tensor:
        """Options (marks, width): whether each is the right one; marks (marks,) of 0 and 1."""
        scores = self.option(options).squeeze(-1).float()
        return F.binary_cross_entropy_with_logits(scores, marks.float())

    def watched_loss(self, options: Tensor, batch: ClipBatch, words: Tensor) -> Tensor:
        """Options (marks, width): what is looked at, which each has to know to compare with it."""
        clip = (batch.marks != IGNORED).nonzero()[:, 0]
        thing = batch.watched[clip]
        nothing = thing == NOT_A_THING
        place = thing.clamp(min=0).unsqueeze(1)

        def classes(of_thing: Tensor, none: int) -> Tensor:
            return of_thing[clip].gather(1, place).squeeze(1).masked_fill(nothing, none)

        known = Known(classes(batch.kinds, len(KINDS)), classes(batch.colours, len(COLOURS)))
        return self.watched.loss(options, known, words)

    def letter_loss(self, options: Tensor, batch: ClipBatch, words: Tensor) -> Tensor:
        """Options (marks, width): each one's own letter, which is the answer if it is right."""
        marked = batch.marks != IGNORED
        letter = (marked.cumsum(dim=-1) - 1)[marked]
        unit = F.rms_norm(options.float(), options.shape[-1:])
        return F.cross_entropy(unit @ words[self.letters].T, letter)

    def gaze_loss(self, residuals: Tensor, gaze: Tensor, known: Known) -> tuple[Tensor, float]:
        """Residuals (modules, N, CELLS, width) of a gaze (N, 2): its cell, and what is there.

        Returns the loss and the share of cells found by the first module.
        """
        column, row = (gaze * GRID).long().clamp(0, GRID - 1).unbind(-1)
        cell = row * GRID + column
        here = torch.arange(cell.shape[0])
        total = residuals.new_zeros(())
        for residual, where, gazed in zip(residuals, self.where, self.gazed, strict=False):
            scores = where(residual).squeeze(-1)
            total = total + F.cross_entropy(scores.float(), cell)
            total = total + 0.5 * gazed.loss(residual[here, cell], known)
        found = self.where[0](residuals[0]).squeeze(-1).argmax(dim=-1) == cell
        return total / len(self.where), float(found.float().mean())


class _ThingHead(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.kind = nn.Linear(width, len(KINDS) + 1)
        self.colour = nn.Linear(width, len(COLOURS) + 1)

    def loss(self, values: Tensor, known: Known) -> Tensor:
        return _classes(self.kind(values), known.kind) + _classes(self.colour(values), known.colour)


class _WordHead(nn.Module):
    """Reads a thing by how much a value resembles the words for it; nothing there is "table"."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        for name, words in (("kinds", KINDS), ("colours", tuple(COLOURS))):
            spoken = [f" {word}" for word in (*words, NOTHING)]
            self.register_buffer(name, _tokens(tokenizer, spoken), persistent=False)
        self.scale = nn.Parameter(torch.ones(()))

    def loss(self, values: Tensor, known: Known, words: Tensor) -> Tensor:
        unit = self.scale * F.rms_norm(values.float(), values.shape[-1:])
        kinds, colours = unit @ words[self.kinds].T, unit @ words[self.colours].T
        return _classes(kinds, known.kind) + _classes(colours, known.colour)


def _tokens(tokenizer: Tokenizer, words: Iterable[str]) -> Tensor:
    return torch.tensor([tokenizer.encode(word).ids[0] for word in words])


def _classes(scores: Tensor, wanted: Tensor) -> Tensor:
    return F.cross_entropy(scores.flatten(0, -2).float(), wanted.flatten())


def known_at(batch: ClipBatch, points: Tensor, reach: float) -> Known:
    """What lies within `reach` of points (B, S, P, 2) of the frame: classes (B * S, P)."""
    gaps = (points.unsqueeze(3) - batch.places.unsqueeze(2)).norm(dim=-1)
    gaps = gaps.masked_fill(~batch.shown.unsqueeze(2), float("inf"))
    nearest, thing = gaps.min(dim=-1)
    steps = points.shape[1]

    def classes(of_thing: Tensor, nothing: int) -> Tensor:
        table = of_thing.unsqueeze(1).expand(-1, steps, -1)
        return table.gather(2, thing).masked_fill(nearest > reach, nothing).flatten(0, 1)

    return Known(classes(batch.kinds, len(KINDS)), classes(batch.colours, len(COLOURS)))


def cell_centres(batch: ClipBatch) -> Tensor:
    """Centres of all cells for every step: (B, S, CELLS, 2)."""
    cell = torch.arange(CELLS)
    centre = torch.stack([cell % GRID, cell // GRID], dim=-1) / GRID + 0.5 / GRID
    return centre.expand(*batch.gazed.shape, -1, -1)


def drawn_gaze(batch: ClipBatch, random: torch.Generator) -> Tensor:
    """Gaze anywhere in the frame for half of the steps, near a thing for the others: (B, S, 2)."""
    clips, steps = batch.gazed.shape
    anywhere = torch.rand(clips, steps, 2, generator=random)
    chosen = torch.multinomial(batch.shown.flatten(0, 1).float(), 1, generator=random)
    chosen = chosen.view(clips, steps, 1, 1).expand(-1, -1, -1, 2)
    near = batch.places.gather(2, chosen).squeeze(2)
    near = near + 0.04 * torch.randn(clips, steps, 2, generator=random)
    share = torch.rand(clips, steps, 1, generator=random) < 0.5
    return torch.where(share, anywhere, near).clamp(0, 0.999)

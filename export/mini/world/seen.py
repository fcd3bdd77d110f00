"""What the steps of a batch show, known because the world is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from devices.synthetic.shapes import COLOURS, KINDS
from export.mini.sizes import CELLS, GRID
from export.mini.world.batches import ClipBatch
from export.mini.world.prompts import NOT_A_THING

CELL_REACH = 0.17  # between a cell's centre and a thing that counts as lying there
WIDE_REACH = 0.2  # the same for the cell of gaze, which may be the next one to the thing's
GAZE_REACH = 0.16  # between gaze and a thing that counts as looked at


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is at given places: kind and colour (N, ...) int64; the last class means nothing."""

    kind: Tensor
    colour: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """What the steps show to be looked at, all (B, S) int64.

    thing: its place among the things, NOT_A_THING for the table or nothing. cell: of gaze. before:
    the last other thing that was looked at before, and before_step the last step that shows that.
    """

    thing: Tensor
    cell: Tensor
    before: Tensor
    before_step: Tensor


def things_at(batch: ClipBatch, points: Tensor, reach: float) -> Tensor:
    """The things within `reach` of points (B, S, P, 2) of the frame: (B, S, P), or NOT_A_THING."""
    gaps = (points.unsqueeze(3) - batch.places.unsqueeze(2)).norm(dim=-1)
    gaps = gaps.masked_fill(~batch.shown.unsqueeze(2), float("inf"))
    nearest, thing = gaps.min(dim=-1)
    return thing.masked_fill(nearest > reach, NOT_A_THING)


def known_of(batch: ClipBatch, things: Tensor) -> Known:
    """Kind and colour of things (B, ...), as they are numbered in each clip."""

    def classes(of_thing: Tensor, nothing: int) -> Tensor:
        found = of_thing.gather(1, things.clamp(min=0).flatten(1)).view_as(things)
        return found.masked_fill(things == NOT_A_THING, nothing)

    return Known(classes(batch.kinds, len(KINDS)), classes(batch.colours, len(COLOURS)))


def looks_of(batch: ClipBatch) -> Looks:
    """What is looked at in every step, and what was before."""
    thing = things_at(batch, batch.gaze.unsqueeze(2), GAZE_REACH).squeeze(2)
    thing = thing.masked_fill(~batch.gazed, NOT_A_THING)
    step = torch.arange(thing.shape[1])
    other = (thing.unsqueeze(1) != thing.unsqueeze(2)) & (thing != NOT_A_THING).unsqueeze(1)
    earlier = other & (step.unsqueeze(0) < step.unsqueeze(1))
    last = torch.where(earlier, step, NOT_A_THING).amax(dim=2)
    before = thing.gather(1, last.clamp(min=0)).masked_fill(last < 0, NOT_A_THING)
    return Looks(thing, gaze_cells(batch.gaze), before, last)


def gaze_cells(gaze: Tensor) -> Tensor:
    """The cells in which gaze (..., 2) falls: (...)."""
    column, row = (gaze * GRID).long().clamp(0, GRID - 1).unbind(-1)
    return row * GRID + column


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

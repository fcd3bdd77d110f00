"""At which decoder layers a GazeQwen checkpoint was trained: no entry of the file says it.

Source: the training code of the released checkpoint. Every amplitude starts at one value and every
output projection at zero. A layer whose residual never reached the loss keeps its amplitude, and a
module that stood at no such layer keeps its projection. The residual of the last decoder layer
reaches no logit, so there nothing moves either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from export.modules.resampler import spaced_layers
from runtime.bundle.manifest import Injection

RELEASED_LAYERS = (6, 13, 20, 27)  # at whatever depth, in the released code
START = 1.0  # of an amplitude, in the released code


class InjectionError(ValueError):
    """The layers can't be found, or are not those that were asked for; the message says why."""


@dataclass(frozen=True, slots=True)
class Traces:
    """What training left behind.

    `moved`: layers whose amplitude is not what it started from; None where that can't be told, as
    no two layers share a value. `trained`: modules whose output projection is not zero.
    """

    layers: int
    modules: int
    moved: tuple[int, ...] | None
    trained: tuple[int, ...]


def traces(amplitude: Tensor, projections: Sequence[Tensor]) -> Traces:
    """Read off `amplitude` (layers) and the output projection of every module."""
    start = _start(amplitude)
    moved = None if start is None else tuple(torch.nonzero(amplitude != start).flatten().tolist())
    trained = tuple(module for module, weight in enumerate(projections) if weight.any())
    return Traces(len(amplitude), len(projections), moved, trained)


def find_layers(found: Traces, stated: tuple[int, ...] | None = None) -> Injection:
    """The layer of every module, from what training left behind or as it is `stated`.

    A module that was never trained adds nothing wherever it stands; it is given a layer that no
    other has. Raises InjectionError where the traces contradict each other or the statement.
    """
    if not found.trained:
        raise InjectionError(
            "its output projections are all zero: it was never trained, gaze would change nothing"
        )
    if stated is not None:
        _check_stated(found, stated)
        return Injection(_complete(found, dict(enumerate(stated))), "stated")
    if not found.moved:
        return Injection(spaced_layers(found.layers, found.modules), "assumed")
    return Injection(_complete(found, _told(found)), "amplitudes")


def rules(layers: int, modules: int) -> tuple[tuple[int, ...], ...]:
    """The layers that a decoder of so many layers may have been trained at, by different rules."""
    released = tuple(layer for layer in RELEASED_LAYERS if layer < layers)
    spaced = spaced_layers(layers, modules)
    return (spaced,) if released in ((), spaced) else (spaced, RELEASED_LAYERS)


def spelled(layers: Sequence[int]) -> str:
    """As `--layers` takes them."""
    return ",".join(map(str, layers))


def _start(amplitude: Tensor) -> float | None:
    """What the amplitudes started from: weight decay may have moved all that were not trained."""
    if (amplitude == START).any():
        return START
    values, counts = amplitude.unique(return_counts=True)
    return values[counts.argmax()].item() if counts.max() > 1 else None


def _told(found: Traces) -> dict[int, int]:
    """The layer of every trained module, in order."""
    assert found.moved is not None
    last, trained, moved = found.layers - 1, found.trained, found.moved
    if len(moved) > found.modules:
        raise InjectionError(
            f"its amplitudes moved at {_named(moved)}: more layers than it has modules "
            f"({found.modules}), so it is no GazeQwen as released"
        )
    if len(trained) == found.modules == len(moved) + 1 and last not in moved:
        moved = (*moved, last)  # where no gradient arrives
    if len(trained) != len(moved):
        raise InjectionError(
            f"its amplitudes moved at {_named(found.moved)}, but {len(trained)} of its "
            f"{found.modules} modules were trained: it can't be told which belongs where, give "
            "--layers if you know"
        )
    return dict(zip(trained, moved, strict=True))


def _check_stated(found: Traces, stated: tuple[int, ...]) -> None:
    given = f"--layers {spelled(stated)}"
    if len(stated) != found.modules:
        raise InjectionError(f"{given}: it has {found.modules} modules, name a layer for each")
    beyond = [stated[module] for module in found.trained if stated[module] >= found.layers]
    if beyond:
        raise InjectionError(
            f"{given}: the module of layer {beyond[0]} was trained, and the decoder has "
            f"{found.layers} layers (0 to {found.layers - 1})"
        )
    if not found.moved:
        return
    if strange := sorted(set(found.moved) - {stated[module] for module in found.trained}):
        raise InjectionError(
            f"{given}: its amplitudes moved at {_named(found.moved)}, so it was trained at layer "
            f"{strange[0]} too"
        )
    for module in found.trained:
        layer = stated[module]
        if layer not in found.moved and layer != found.layers - 1:
            raise InjectionError(
                f"{given}: the amplitude of layer {layer} never moved, so it was not trained "
                f"there; those of {_named(found.moved)} did"
            )


def _complete(found: Traces, known: dict[int, int]) -> tuple[int, ...]:
    """A layer for every module: those known, else as a rule has it, else the last one free."""
    placed = {module: known[module] for module in found.trained}
    free = [layer for layer in range(found.layers) if layer not in placed.values()]
    fitting = [
        rule
        for rule in ((*known.values(),), *rules(found.layers, found.modules))
        if len(rule) == found.modules
        and all(rule[module] == layer for module, layer in placed.items())
    ]
    for module in range(found.modules):
        if module not in placed:
            wish = fitting[0][module] if fitting else free[-1]
            placed[module] = wish if wish in free else free[-1]
            free.remove(placed[module])
    return tuple(placed[module] for module in range(found.modules))


def _named(layers: Sequence[int]) -> str:
    return f"layer{'s' if len(layers) > 1 else ''} {', '.join(map(str, layers))}"

"""The inputs and outputs that each graph must have, from the sizes of the model alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runtime.bundle import names
from runtime.bundle.manifest import (
    TUBELET_FRAMES,
    VJEPA_HEAD_DIM,
    Geometry,
    Manifest,
    TensorSpec,
)

FLOATS = ("float32", "float16")  # what keys, values and rotary rows may be kept in
Axis = int | None  # None: it varies, and has a word in the graph


@dataclass(frozen=True, slots=True)
class Expected:
    """A tensor as the geometry wants it: one of some types, the sizes of its axes."""

    types: tuple[str, ...]
    shape: tuple[Axis, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """What goes into a graph and comes out of it."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True, slots=True)
class ExpectedSignature:
    """What has to go into a graph and come out of it, by name."""

    inputs: Mapping[str, Expected]
    outputs: Mapping[str, Expected]


def expected_signatures(geometry: Geometry, in_pairs: bool) -> dict[str, ExpectedSignature]:
    """Of every graph of a model of this geometry.

    `in_pairs`: whether its decoder appends to two contexts in one run.
    """
    return {
        names.VJEPA: _vjepa(geometry),
        names.SCENE: _scene(geometry),
        names.GAZE: _gaze(geometry),
        names.VISION: _vision(geometry),
        names.DECODER: _pair(geometry) if in_pairs else _decoder(geometry),
    }


def takes_pairs(manifest: Manifest) -> bool:
    """Whether the decoder of a bundle appends to two contexts in one run."""
    graph = manifest.graphs.get(names.DECODER)
    return graph is not None and any(spec.name == names.PAIR_SIZES for spec in graph.inputs)


def misfit(found: Signature, expected: ExpectedSignature) -> str | None:
    """The first thing about a graph's tensors that is not as expected, in words; None if all is."""
    sides = (("input", found.inputs, expected.inputs), ("output", found.outputs, expected.outputs))
    for side, specs, wanted in sides:
        listed = {spec.name: spec for spec in specs}
        if len(listed) != len(specs) or set(listed) != set(wanted):
            other = sorted(set(wanted) ^ set(listed)) or sorted(listed)
            return f"the {side}s are not those of this graph, beginning with {other[0]!r:.60}"
        for name, spec in listed.items():
            if spec.type not in wanted[name].types:
                return f"{side} {name} is {spec.type!r:.40}, not {wanted[name].types[0]}"
            if not _agree(spec.shape, wanted[name].shape):
                shape = tuple("any" if axis is None else axis for axis in wanted[name].shape)
                return f"{side} {name} has the shape {spec.shape!r:.80}, not {shape}"
    return None


def _agree(shape: tuple[int | str, ...], wanted: tuple[Axis, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        isinstance(axis, str) if size is None else axis == size
        for axis, size in zip(shape, wanted, strict=True)
    )


def _float32(*shape: Axis) -> Expected:
    return Expected(("float32",), shape)


def _uint8(*shape: Axis) -> Expected:
    return Expected(("uint8",), shape)


def _int64(*shape: Axis) -> Expected:
    return Expected(("int64",), shape)


def _int32(*shape: Axis) -> Expected:
    return Expected(("int32",), shape)


def _floats(*shape: Axis) -> Expected:
    return Expected(FLOATS, shape)


def _vjepa(geometry: Geometry) -> ExpectedSignature:
    shape = geometry.vjepa
    return ExpectedSignature(
        {
            names.CLIP: _uint8(None, None, None, 3),
            names.FRAME_ORDER: _int64(None, TUBELET_FRAMES),
            names.ROW_PIXELS: _int64(2 * shape.pixels),
            names.ROW_SHARES: _float32(shape.pixels),
            names.COLUMN_PIXELS: _int64(2 * shape.pixels),
            names.COLUMN_SHARES: _float32(shape.pixels),
            names.CLIP_COS: _float32(None, shape.side**2, VJEPA_HEAD_DIM),
            names.CLIP_SIN: _float32(None, shape.side**2, VJEPA_HEAD_DIM),
            names.WANTED_TUBELETS: _int64(None),
        },
        _features(geometry),
    )


def _features(geometry: Geometry) -> dict[str, Expected]:
    shape = geometry.vjepa
    return {names.TUBELET_FEATURES: _float32(None, shape.side, shape.side, shape.width)}


def _scene_outputs(geometry: Geometry) -> dict[str, Expected]:
    shape = geometry.resampler
    injected = len(shape.injected_layers)
    return {
        names.SCENE_TOKENS: _float32(injected, None, shape.width),
        names.SCENE_KEYS: _float32(injected, shape.blocks, None, shape.width),
        names.SCENE_VALUES: _float32(injected, shape.blocks, None, shape.width),
    }


def _scene(geometry: Geometry) -> ExpectedSignature:
    shape = geometry.vjepa
    return ExpectedSignature(
        {
            **_features(geometry),
            names.TUBELET_WEIGHTS: _float32(None),
            names.ROW_WEIGHTS: _float32(None, shape.side),
            names.COLUMN_WEIGHTS: _float32(None, shape.side),
        },
        _scene_outputs(geometry),
    )


def _gaze(geometry: Geometry) -> ExpectedSignature:
    shape = geometry.resampler
    injected = len(shape.injected_layers)
    return ExpectedSignature(
        {**_scene_outputs(geometry), names.GAZE_ENCODING: _float32(shape.width)},
        {names.RESIDUALS: _float32(injected, None, geometry.decoder.width)},
    )


def _vision(geometry: Geometry) -> ExpectedSignature:
    shape = geometry.vision
    patches = (shape.window // shape.patch) ** 2
    return ExpectedSignature(
        {
            names.FRAME_PAIR: _uint8(shape.temporal_patch, None, None, 3),
            names.WINDOW_ORDER: _int64(None, patches),
            names.WINDOW_MASK: _float32(None, patches),
            names.WINDOW_PLACE: _int64(None),
            names.VISION_COS: _float32(None, shape.head_dim),
            names.VISION_SIN: _float32(None, shape.head_dim),
        },
        {names.VISUAL_EMBEDDINGS: _float32(None, geometry.decoder.width)},
    )


def _decoder(geometry: Geometry) -> ExpectedSignature:
    shape = geometry.decoder
    injected = len(geometry.resampler.injected_layers)
    buffer = _floats(1, shape.kv_heads, None, shape.head_dim)
    layers = range(shape.layers)
    return ExpectedSignature(
        {
            names.EMBEDDINGS: _float32(1, None, shape.width),
            names.ROTARY_COS: _floats(None, shape.head_dim // 2),
            names.ROTARY_SIN: _floats(None, shape.head_dim // 2),
            names.ROWS: _int64(None),
            names.LAST_POSITION: _int32(1),
            names.TOTAL_LENGTH: _int32(),
            names.RESIDUALS: _float32(injected, None, shape.width),
            **{names.past_key(layer): buffer for layer in layers},
            **{names.past_value(layer): buffer for layer in layers},
        },
        {
            names.LOGITS: _float32(None, shape.vocabulary),
            **{names.present_key(layer): buffer for layer in layers},
            **{names.present_value(layer): buffer for layer in layers},
        },
    )


def _pair(geometry: Geometry) -> ExpectedSignature:
    """A decoder that appends to two contexts in one run."""
    alone = _decoder(geometry)
    shared = (names.ROWS, names.LOGITS)
    inputs, outputs = (
        {
            **side,
            **{names.beside(name): spec for name, spec in side.items() if name not in shared},
        }
        for side in (alone.inputs, alone.outputs)
    )
    return ExpectedSignature({**inputs, names.PAIR_SIZES: _int64(2)}, outputs)

"""Emits the vision tower of Qwen2.5-VL for one temporal step, of any grid.

Window order, mask and rotary rows depend on the grid alone and are inputs, computed by
`runtime.inputs.vision_layout`. Patches stand in groups of one visual token, groups row-major, so
that the merger only reshapes. Only operators of the standard set are used: TensorRT builds this
graph too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from onnx import ValueInfoProto

from export.checkpoints.pictures import PictureRule
from export.checkpoints.qwen_config import VisionGeometry
from export.graphs.graph_writer import GraphWriter, tensor_info
from export.graphs.precision.narrowing import NUMPY_TYPES
from runtime.bundle import names
from runtime.bundle.manifest import EncoderType

EPSILON = 1e-6  # of every norm of the tower


@dataclass(frozen=True, slots=True)
class _Layout:
    """Names of the inputs in the shape the blocks use them."""

    order: str
    mask: str
    place: str
    cos: str
    sin: str


class VisionEmitter:
    """Emits one vision tower into `<folder>/vision.onnx`."""

    def __init__(
        self,
        state: Mapping[str, torch.Tensor],
        geometry: VisionGeometry,
        pictures: PictureRule,
        kind: EncoderType = "float32",
    ) -> None:
        """`state`: the tower's tensors under transformers' names, without prefix.

        `kind`: of its matrices and products; everything between them is float32.
        """
        self._type = np.dtype(NUMPY_TYPES[kind])
        self._state = state
        self._pictures = pictures
        self._size = geometry
        self._window_tokens = (geometry.window // geometry.patch) ** 2
        self._head_dim = geometry.width // geometry.heads

    def emit(self, folder: Path) -> Path:
        """Write the graph and its data file; returns the graph's path."""
        with GraphWriter(folder, names.VISION) as graph:
            self._shapes(graph)
            layout = self._layout(graph)
            tokens = self._patches(graph)
            for block in range(self._size.depth):
                tokens = self._block(graph, block, tokens, layout)
            self._merger(graph, tokens)
            return graph.save(self._inputs(), self._outputs())

    def _shapes(self, graph: GraphWriter) -> None:
        size, places = self._size, self._window_tokens
        token, stack = size.merge * size.patch, size.temporal_patch * size.channels
        targets = {
            "shape.tokens": [-1, size.width],
            "shape.heads": [-1, 3, size.heads, self._head_dim],
            "shape.windows": [-1, places, size.heads, self._head_dim],
            "shape.groups": [-1, size.merge**2 * size.width],
            # Of (w, h, frames, channels), rows of visual tokens; then the tokens of each row; then
            # (tokens, merge, patch, merge, patch, frames, channels), columns before rows.
            "shape.rows": [0, -1, token, stack],
            "shape.cells": [0, -1, token, token * stack],
            "shape.parts": [-1, *(size.merge, size.patch) * 2, size.temporal_patch, size.channels],
            "shape.patches": [-1, stack * size.patch**2],
            "flat": [-1],
            "axis.1": [1],
            "axis.last": [-1],
            "axes.1.2": [1, 2],
        }
        for name, values in targets.items():
            graph.constant(name, np.array(values, np.int64))

    def _layout(self, graph: GraphWriter) -> _Layout:
        order = graph.node("Reshape", [names.WINDOW_ORDER, "flat"], ["order"])
        mask = graph.node("Unsqueeze", [names.WINDOW_MASK, "axes.1.2"], ["mask"])
        cos = graph.node("Unsqueeze", [names.VISION_COS, "axis.1"], ["cos"])
        sin = graph.node("Unsqueeze", [names.VISION_SIN, "axis.1"], ["sin"])
        return _Layout(order, mask, names.WINDOW_PLACE, cos, sin)

    def _patches(self, graph: GraphWriter) -> str:
        """Normalise, embed each patch of both frames, and group patches by visual token."""
        mean, std = np.array(self._pictures.mean), np.array(self._pictures.std)
        scale, shift = self._pictures.rescale / std, -mean / std
        for name, values in (("pixel.scale", scale), ("pixel.shift", shift)):
            graph.constant(name, values.astype(np.float32).reshape(1, 1, 1, -1))
        pixels = graph.node("Cast", [names.FRAME_PAIR], ["pixels"], to=1)
        pixels = graph.node("Mul", [pixels, "pixel.scale"], ["pixels.scaled"])
        pixels = graph.node("Add", [pixels, "pixel.shift"], ["pixels.normal"])
        # A product, not a Conv: of six channels some providers compute one wrong.
        pixels = graph.node("Transpose", [pixels], ["pixels.across"], perm=[2, 1, 0, 3])
        rows = graph.node("Reshape", [pixels, "shape.rows"], ["pixels.rows"])
        rows = graph.node("Transpose", [rows], ["pixels.down"], perm=[1, 0, 2, 3])
        cells = graph.node("Reshape", [rows, "shape.cells"], ["pixels.cells"])
        cells = graph.node("Reshape", [cells, "shape.parts"], ["pixels.parts"])
        parts = graph.node("Transpose", [cells], ["patches.parts"], perm=[0, 3, 1, 6, 5, 4, 2])
        patches = graph.node("Reshape", [parts, "shape.patches"], ["patches"])
        kernel = self._float("patch_embed.proj.weight")  # (width, channels, frames, patch, patch)
        weight = graph.weight("patch_embed.weight", kernel.flatten(1).T.contiguous().numpy())
        return graph.node("MatMul", [patches, weight], ["tokens.0"])

    def _block(self, graph: GraphWriter, block: int, tokens: str, layout: _Layout) -> str:
        prefix = f"blocks.{block}"
        normed = self._norm(graph, f"{prefix}.norm1", tokens)
        mixed = self._attention(graph, block, normed, layout)
        tokens = graph.node("Add", [tokens, mixed], [f"{prefix}.attended"])
        normed = self._norm(graph, f"{prefix}.norm2", tokens)
        gate = self._linear(graph, f"{prefix}.mlp.gate_proj", normed)
        sigmoid = graph.node("Sigmoid", [gate], [f"{prefix}.mlp.sigmoid"])
        silu = graph.node("Mul", [gate, sigmoid], [f"{prefix}.mlp.silu"])
        up = self._linear(graph, f"{prefix}.mlp.up_proj", normed)
        gated = graph.node("Mul", [silu, up], [f"{prefix}.mlp.gated"])
        down = self._linear(graph, f"{prefix}.mlp.down_proj", gated)
        return graph.node("Add", [tokens, down], [f"tokens.{block + 1}"])

    def _attention(self, graph: GraphWriter, block: int, normed: str, layout: _Layout) -> str:
        prefix = f"blocks.{block}.attn"
        packed = self._linear(graph, f"{prefix}.qkv", normed)
        packed = graph.node("Reshape", [packed, "shape.heads"], [f"{prefix}.heads"])
        parts = [f"{prefix}.{part}" for part in ("query", "key", "value")]
        graph.node("Split", [packed], [f"{part}.split" for part in parts], axis=1, num_outputs=3)
        for part in parts:
            graph.node("Squeeze", [f"{part}.split", "axis.1"], [part])
        query = self._rotate(graph, parts[0], layout)
        key = self._rotate(graph, parts[1], layout)
        if block in self._size.full_attention_blocks:
            mixed = self._attend(graph, prefix, (query, key, parts[2]), (0, 1, 2), None)
        else:
            windows = tuple(
                self._to_windows(graph, name, layout) for name in (query, key, parts[2])
            )
            mixed = self._attend(graph, prefix, windows, (0, 1, 2, 3), layout.mask)
        rows = graph.node("Reshape", [mixed, "shape.tokens"], [f"{prefix}.rows"])
        if block not in self._size.full_attention_blocks:
            rows = graph.node("Gather", [rows, layout.place], [f"{prefix}.placed"], axis=0)
        return self._linear(graph, f"{prefix}.proj", rows)

    def _to_windows(self, graph: GraphWriter, name: str, layout: _Layout) -> str:
        ordered = graph.node("Gather", [name, layout.order], [f"{name}.ordered"], axis=0)
        return graph.node("Reshape", [ordered, "shape.windows"], [f"{name}.windows"])

    def _attend(
        self,
        graph: GraphWriter,
        prefix: str,
        parts: tuple[str, ...],
        axes: tuple[int, ...],
        mask: str | None,
    ) -> str:
        """Attention over (..., tokens, heads, head_dim); the result has the same layout."""
        *batch, token, head, dim = axes
        query, key, value = parts
        scale = graph.constant(f"{prefix}.scale", np.array(self._head_dim**-0.5, np.float32))
        rows, columns = [*batch, head, token, dim], [*batch, head, dim, token]
        query = graph.node("Transpose", [query], [f"{query}.rows"], perm=rows)
        key = graph.node("Transpose", [key], [f"{key}.columns"], perm=columns)
        value = graph.node("Transpose", [value], [f"{value}.rows"], perm=rows)
        scaled = graph.node("Mul", [query, scale], [f"{prefix}.scaled"])
        scores = self._product(graph, scaled, self._narrow(graph, key), f"{prefix}.scores")
        if mask is not None:
            scores = graph.node("Add", [scores, mask], [f"{prefix}.masked"])
        weights = graph.node("Softmax", [scores], [f"{prefix}.weights"], axis=-1)
        mixed = self._product(graph, weights, self._narrow(graph, value), f"{prefix}.mixed")
        return graph.node("Transpose", [mixed], [f"{prefix}.tokens"], perm=rows)

    def _rotate(self, graph: GraphWriter, name: str, layout: _Layout) -> str:
        halves = [f"{name}.first", f"{name}.second"]
        graph.node("Split", [name], halves, axis=-1, num_outputs=2)
        negated = graph.node("Neg", [halves[1]], [f"{name}.negated"])
        turned = graph.node("Concat", [negated, halves[0]], [f"{name}.turned"], axis=-1)
        straight = graph.node("Mul", [name, layout.cos], [f"{name}.cos"])
        turned = graph.node("Mul", [turned, layout.sin], [f"{name}.sin"])
        return graph.node("Add", [straight, turned], [f"{name}.rotated"])

    def _merger(self, graph: GraphWriter, tokens: str) -> None:
        normed = self._norm(graph, "merger.ln_q", tokens)
        groups = graph.node("Reshape", [normed, "shape.groups"], ["merger.groups"])
        hidden = self._linear(graph, "merger.mlp.0", groups)
        for name, value in (("root.half", 0.5**0.5), ("one", 1.0), ("half", 0.5)):
            graph.constant(name, np.array(value, np.float32))
        scaled = graph.node("Mul", [hidden, "root.half"], ["merger.scaled"])
        error = graph.node("Erf", [scaled], ["merger.erf"])
        error = graph.node("Add", [error, "one"], ["merger.erf.one"])
        gelu = graph.node("Mul", [hidden, error], ["merger.gelu.double"])
        gelu = graph.node("Mul", [gelu, "half"], ["merger.gelu"])
        self._linear(graph, "merger.mlp.2", gelu, names.VISUAL_EMBEDDINGS)

    def _norm(self, graph: GraphWriter, name: str, tokens: str) -> str:
        weight = graph.weight(f"{name}.weight", self._float(f"{name}.weight").numpy())
        epsilon = graph.constant(f"{name}.epsilon", np.array(EPSILON, np.float32))
        square = graph.node("Mul", [tokens, tokens], [f"{name}.square"])
        mean = graph.node("ReduceMean", [square, "axis.last"], [f"{name}.mean"], keepdims=1)
        sound = graph.node("Add", [mean, epsilon], [f"{name}.sound"])
        root = graph.node("Sqrt", [sound], [f"{name}.root"])
        unit = graph.node("Div", [tokens, root], [f"{name}.unit"])
        return graph.node("Mul", [unit, weight], [f"{name}.normed"])

    def _linear(self, graph: GraphWriter, name: str, inputs: str, output: str | None = None) -> str:
        matrix = self._float(f"{name}.weight").T.contiguous().numpy()
        weight = graph.weight(f"{name}.weight", matrix.astype(self._type))
        bias = graph.weight(f"{name}.bias", self._float(f"{name}.bias").numpy())
        product = self._product(graph, inputs, weight, f"{name}.product")
        return graph.node("Add", [product, bias], [output or f"{name}.sum"])

    def _product(self, graph: GraphWriter, left: str, right: str, output: str) -> str:
        """A float32 value times one of the type of products, in that type; float32 again."""
        if self._type == np.float32:
            return graph.node("MatMul", [left, right], [output])
        given = graph.cast(left, self._type, f"{output}.given")
        narrow = graph.node("MatMul", [given, right], [f"{output}.narrow"])
        return graph.cast(narrow, np.float32, output)

    def _narrow(self, graph: GraphWriter, value: str) -> str:
        if self._type == np.float32:
            return value
        return graph.cast(value, self._type, f"{value}.narrow")

    def _float(self, name: str) -> torch.Tensor:
        return self._state[name].float()

    def _inputs(self) -> list[ValueInfoProto]:
        size, places = self._size, self._window_tokens
        frames = [size.temporal_patch, "frame_height", "frame_width", size.channels]
        return [
            tensor_info(names.FRAME_PAIR, np.uint8, frames),
            tensor_info(names.WINDOW_ORDER, np.int64, ["windows", places]),
            tensor_info(names.WINDOW_MASK, np.float32, ["windows", places]),
            tensor_info(names.WINDOW_PLACE, np.int64, ["patches"]),
            tensor_info(names.VISION_COS, np.float32, ["patches", self._head_dim]),
            tensor_info(names.VISION_SIN, np.float32, ["patches", self._head_dim]),
        ]

    def _outputs(self) -> list[ValueInfoProto]:
        shape = ["visual_tokens", self._size.out_width]
        return [tensor_info(names.VISUAL_EMBEDDINGS, np.float32, shape)]

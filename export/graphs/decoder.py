"""Emits the decoder graph layer by layer from its weights, with the residual inputs fused in.

One run appends tokens to a context: keys and values go into fixed buffers shared between input and
output, rotary rows come from a table with one row per token of the context, and only the rows
asked for reach the last layer's feed-forward and the head. The residual of an injected layer is
added to the output of its feed-forward, which is the same as adding it to the layer's output.

A decoder for CUDA appends to two contexts in one run. Their tokens stand one after the other in
every product; only attention and residuals, which are each context's own, part them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from onnx import ValueInfoProto

from export import files
from export.checkpoints.qwen_config import DecoderGeometry
from export.graphs.graph_writer import CONTRIB, GraphWriter, tensor_info
from export.graphs.precision.quantization import EMBEDDINGS, ROWS, Linears, WeightSource
from runtime.bundle import names
from runtime.bundle.token_table import TableFormat, stored_rows, stored_type, stored_width

Progress = Callable[[int, int], None]
Side = Callable[[str], str]


class DecoderEmitter:
    """Emits one decoder into `<folder>/decoder.onnx`.

    Tensors between layers: `mid.{i}` is the residual stream after a layer's attention and
    `branch.{i}` its feed-forward's output, injection included; their sum is the layer's output.
    """

    def __init__(
        self,
        weights: WeightSource,
        geometry: DecoderGeometry,
        injected_layers: tuple[int, ...],
        linears: Linears,
    ) -> None:
        if geometry.layers - 1 in injected_layers:
            raise ValueError("the last layer's residual reaches no logit: prune it before emitting")
        self._weights = weights
        self._size = geometry
        self._injected = injected_layers
        self._linears = linears
        # How what belongs to each context of a run is called.
        both = (str, names.beside)
        self._sides: tuple[Side, ...] = both if linears.precision.in_pairs else (str,)

    def emit(self, folder: Path, progress: Progress | None = None, origin: str = "") -> Path:
        """Write the graph and its data file; returns the graph's path.

        `progress` is called with (layers done, layers). An interrupted emission of the same
        `origin` goes on after its last whole layer (see `GraphWriter`).
        """
        size = self._size
        with GraphWriter(folder, names.DECODER, origin) as graph:
            if graph.stage:
                self._linears.resume(graph.facts)
                norm, stream = f"norm.{graph.stage}", f"stream.{graph.stage}"
            else:
                self._split_residuals(graph)
                norm, stream = self._first_norm(graph)
            for layer in range(graph.stage, size.layers - 1):
                branch, middle = self._layer(graph, layer, norm, stream)
                norm, stream = self._skip_norm(
                    graph, f"layers.{layer + 1}.input_layernorm", middle, branch, layer + 1
                )
                graph.keep(layer + 1, self._linears.facts())
                if progress:
                    progress(layer + 1, size.layers)
            self._last_layer_and_head(graph, norm, stream)
            if progress:
                progress(size.layers, size.layers)
            self._linears.note_table(self._weights)
            return graph.save(*self._interface(), self._linears.facts())

    def _split_residuals(self, graph: GraphWriter) -> None:
        if not self._injected:
            return
        for side in self._sides:
            outputs = [side(_residual(layer)) for layer in self._injected]
            given = [side(names.RESIDUALS)]
            graph.node("Split", given, outputs, axis=0, num_outputs=len(outputs))

    def _first_norm(self, graph: GraphWriter) -> tuple[str, str]:
        stream = self._joined(graph, [side(names.EMBEDDINGS) for side in self._sides], "stream.0")
        weight = self._vector(graph, "layers.0.input_layernorm.weight")
        norm = graph.node(
            "SimplifiedLayerNormalization",
            [stream, weight],
            ["norm.0"],
            axis=-1,
            epsilon=self._size.rms_epsilon,
            stash_type=1,
        )
        return norm, stream

    def _layer(self, graph: GraphWriter, layer: int, norm: str, stream: str) -> tuple[str, str]:
        """One layer for all tokens of the run; returns (branch, middle)."""
        attention = self._attention(graph, layer, norm)
        projected = self._linear(graph, f"layers.{layer}.self_attn.o_proj", attention)
        return self._feed_forward(graph, layer, stream, projected)

    def _last_layer_and_head(self, graph: GraphWriter, norm: str, stream: str) -> None:
        """Past its keys and values, the last layer only matters for the wanted rows."""
        last = self._size.layers - 1
        attention = self._attention(graph, last, norm)
        wanted = graph.node("Gather", [attention, names.ROWS], ["wanted.attention"], axis=1)
        kept = graph.node("Gather", [stream, names.ROWS], ["wanted.stream"], axis=1)
        projected = self._linear(graph, f"layers.{last}.self_attn.o_proj", wanted)
        branch, middle = self._feed_forward(graph, last, kept, projected)
        final, _ = self._skip_norm(graph, "norm", middle, branch, self._size.layers)
        head = self._linear(graph, "lm_head", final)
        shape = graph.constant("logits.shape", np.array([-1, self._size.vocabulary], np.int64))
        graph.node("Reshape", [head, shape], [names.LOGITS])

    def _attention(self, graph: GraphWriter, layer: int, norm: str) -> str:
        prefix = f"layers.{layer}.self_attn"
        products = [
            self._packed(graph, prefix, parts, norm) for parts in self._linears.precision.packing
        ]
        product = products[0]
        if len(products) > 1:
            product = graph.node("Concat", products, [f"{prefix}.product"], axis=-1)
        bias = torch.cat([self._float(f"{prefix}.{part}_proj.bias") for part in "qkv"])
        offset = graph.weight(f"{prefix}.qkv.bias", bias.numpy())
        query_key_value = graph.node("Add", [product, offset], [f"{prefix}.qkv"])
        kind = self._linears.precision.attention
        if kind is not np.float32:
            query_key_value = graph.cast(query_key_value, kind, f"{prefix}.qkv.narrow")
        parts = zip(self._parted(graph, query_key_value), self._sides, strict=True)
        attended = [self._attended(graph, layer, part, side) for part, side in parts]
        mixed = self._joined(graph, attended, f"{prefix}.mixed.joined")
        return mixed if kind is np.float32 else graph.cast(mixed, np.float32, f"{mixed}.wide")

    def _attended(self, graph: GraphWriter, layer: int, query_key_value: str, side: Side) -> str:
        """The attention of one context."""
        size = self._size
        past = [names.past_key(layer), names.past_value(layer)]
        present = [names.present_key(layer), names.present_value(layer)]
        place = [names.LAST_POSITION, names.TOTAL_LENGTH, names.ROTARY_COS, names.ROTARY_SIN]
        return graph.node(
            "GroupQueryAttention",
            [query_key_value, "", "", *map(side, (*past, *place))],
            [*map(side, (f"layers.{layer}.self_attn.mixed", *present))],
            domain=CONTRIB,
            num_heads=size.heads,
            kv_num_heads=size.kv_heads,
            scale=size.head_dim**-0.5,
            do_rotary=1,
            rotary_interleaved=0,
        )

    def _parted(self, graph: GraphWriter, rows: str) -> list[str]:
        """The tokens of each context, of a value that has those of both."""
        if len(self._sides) == 1:
            return [rows]
        parts = [f"{rows}.part", names.beside(f"{rows}.part")]
        graph.node("Split", [rows, names.PAIR_SIZES], parts, axis=1)
        return parts

    def _joined(self, graph: GraphWriter, parts: list[str], output: str) -> str:
        """The tokens of both contexts, one after the other."""
        return parts[0] if len(parts) == 1 else graph.node("Concat", parts, [output], axis=1)

    def _packed(self, graph: GraphWriter, prefix: str, parts: str, norm: str) -> str:
        """One product for several of a layer's queries, keys and values."""
        tensors = [self._weights.tensor(f"{prefix}.{part}_proj.weight") for part in parts]
        name = f"{prefix}.{parts}"
        return self._linears.linear(graph, name, norm, torch.cat(tensors), f"{name}.product")

    def _feed_forward(
        self, graph: GraphWriter, layer: int, stream: str, projected: str
    ) -> tuple[str, str]:
        prefix = f"layers.{layer}"
        normed, middle = f"{prefix}.normed", f"mid.{layer}"
        weight = self._vector(graph, f"{prefix}.post_attention_layernorm.weight")
        self._skip_norm_node(graph, stream, projected, weight, normed, middle)
        gate = self._linear(graph, f"{prefix}.mlp.gate_proj", normed)
        up = self._linear(graph, f"{prefix}.mlp.up_proj", normed)
        # QuickGelu with alpha 1 is x * sigmoid(x): SiLU in one operator.
        silu = graph.node("QuickGelu", [gate], [f"{prefix}.mlp.silu"], domain=CONTRIB, alpha=1.0)
        gated = graph.node("Mul", [silu, up], [f"{prefix}.mlp.gated"])
        if layer not in self._injected:
            return self._linear(graph, f"{prefix}.mlp.down_proj", gated, f"branch.{layer}"), middle
        down = self._linear(graph, f"{prefix}.mlp.down_proj", gated)
        return self._injection(graph, layer, down), middle

    def _injection(self, graph: GraphWriter, layer: int, down: str) -> str:
        """Each context's residual added to the output of a layer's feed-forward."""
        branch = f"branch.{layer}"
        if len(self._sides) == 1:
            return graph.node("Add", [down, _residual(layer)], [branch])
        added = [
            graph.node("Add", [part, side(_residual(layer))], [side(f"{branch}.part")])
            for part, side in zip(self._parted(graph, down), self._sides, strict=True)
        ]
        return self._joined(graph, added, branch)

    def _skip_norm(
        self, graph: GraphWriter, name: str, middle: str, branch: str, index: int
    ) -> tuple[str, str]:
        weight = self._vector(graph, f"{name}.weight")
        self._skip_norm_node(graph, middle, branch, weight, f"norm.{index}", f"stream.{index}")
        return f"norm.{index}", f"stream.{index}"

    def _skip_norm_node(
        self, graph: GraphWriter, stream: str, branch: str, weight: str, norm: str, total: str
    ) -> None:
        graph.node(
            "SkipSimplifiedLayerNormalization",
            [stream, branch, weight],
            [norm, "", "", total],
            domain=CONTRIB,
            epsilon=self._size.rms_epsilon,
        )

    def _linear(self, graph: GraphWriter, name: str, inputs: str, output: str | None = None) -> str:
        weight = self._weights.tensor(f"{name}.weight")
        return self._linears.linear(graph, name, inputs, weight, output or f"{name}.product")

    def _vector(self, graph: GraphWriter, name: str) -> str:
        return graph.weight(name, self._float(name).numpy())

    def _float(self, name: str) -> torch.Tensor:
        return self._weights.tensor(name, dtype=torch.float32)

    def _interface(self) -> tuple[list[ValueInfoProto], list[ValueInfoProto]]:
        wanted: list[int | str] = ["wanted"]
        inputs = [tensor_info(names.ROWS, np.int64, wanted)]
        outputs = [tensor_info(names.LOGITS, np.float32, [*wanted, self._size.vocabulary])]
        if len(self._sides) > 1:
            inputs.append(tensor_info(names.PAIR_SIZES, np.int64, [len(self._sides)]))
        for side in self._sides:
            given, made = self._of_context(side)
            inputs += given
            outputs += made
        return inputs, outputs

    def _of_context(self, side: Side) -> tuple[list[ValueInfoProto], list[ValueInfoProto]]:
        """What each context has of its own; its axes have its own names, too."""
        size, kind = self._size, self._linears.precision.attention
        capacity, tokens = side("capacity"), side("tokens")
        table: list[int | str] = [capacity, size.head_dim // 2]
        inputs = [
            tensor_info(side(names.EMBEDDINGS), np.float32, [1, tokens, size.width]),
            tensor_info(side(names.ROTARY_COS), kind, table),
            tensor_info(side(names.ROTARY_SIN), kind, table),
            tensor_info(side(names.LAST_POSITION), np.int32, [1]),
            tensor_info(side(names.TOTAL_LENGTH), np.int32, []),
        ]
        if self._injected:
            shape: list[int | str] = [len(self._injected), side("residual_tokens"), size.width]
            inputs.append(tensor_info(side(names.RESIDUALS), np.float32, shape))
        outputs = []
        buffer: list[int | str] = [1, size.kv_heads, capacity, size.head_dim]
        for layer in range(size.layers):
            past = names.past_key(layer), names.past_value(layer)
            present = names.present_key(layer), names.present_value(layer)
            inputs += [tensor_info(side(name), kind, buffer) for name in past]
            outputs += [tensor_info(side(name), kind, buffer) for name in present]
        return inputs, outputs


def write_embeddings(weights: WeightSource, path: Path, kind: TableFormat) -> None:
    """The token embeddings as a .npy file in a format, which runtime maps into memory."""
    stored = weights.tensor(EMBEDDINGS)
    tokens, width = stored.shape
    header = {
        "descr": np.lib.format.dtype_to_descr(stored_type(kind)),
        "fortran_order": False,
        "shape": (tokens, stored_width(width, kind)),
    }
    with files.writing(path) as file:
        np.lib.format.write_array_header_1_0(file, header)
        for rows in stored.split(ROWS):
            file.write(np.ascontiguousarray(stored_rows(rows.float().numpy(), kind)).data)


def _residual(layer: int) -> str:
    return f"residual.{layer}"

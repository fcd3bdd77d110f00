"""The decoder's comparison with PyTorch for models that do not fit in memory: layer by layer.

Each layer is cut out of the emitted graph, over the very weights it will run with, and compared
with one PyTorch layer on the same hidden states.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper
from transformers import PreTrainedConfig

from export.graphs.graph_writer import tensor_info
from export.graphs.weights import RoundedWeights
from export.parity.tolerances import LEAST_CHANGE, decoder_tolerance, figure
from export.parity.torch_decoder import TorchDecoder
from runtime.bundle import names
from runtime.bundle.manifest import ParityFigure
from runtime.bundle.opening import Bundle
from runtime.engines.engine import OnnxEngine
from runtime.inputs.positions import rotary_rows, text_positions

TOKENS = 24
PLACES = torch.arange(TOKENS).expand(3, TOKENS)
Arrays = dict[str, NDArray[np.generic]]


def check_layers(
    bundle: Bundle, weights: RoundedWeights, config: PreTrainedConfig
) -> Iterator[ParityFigure]:
    """Every layer but the last with and without a residual, then the last layer with the head.

    `weights`: as the emitted graph holds them. `config`: the decoder's, as transformers reads it.
    """
    decoder = TorchDecoder(weights, config)
    tolerance = decoder_tolerance(bundle.manifest)
    graph = onnx.load(bundle.graph_path(names.DECODER), load_external_data=False)
    hidden = (
        np.random.default_rng(5).normal(size=(1, TOKENS, config.hidden_size)).astype(np.float32)
    )
    injected = bundle.manifest.geometry.resampler.injected_layers
    for layer in range(config.num_hidden_layers - 1):
        theirs = decoder.layer(layer, torch.from_numpy(hidden), PLACES).numpy()
        plain = _emitted_layer(bundle, graph, layer, hidden, residual=0.0)
        yield _figure(f"layer {layer}", plain, theirs, tolerance)
        if layer in injected:
            added = _emitted_layer(bundle, graph, layer, hidden, residual=1.0)
            yield _figure(f"layer {layer}, residual 1", added, theirs + 1.0, tolerance)
            change = float(np.abs(added - plain).max())
            case = f"a residual changes layer {layer}"
            yield ParityFigure(
                names.DECODER, case, change, LEAST_CHANGE, must_change=True, layer_by_layer=True
            )
        hidden = theirs / np.sqrt(np.mean(theirs**2))
    ours, theirs = _head(bundle, graph, decoder, hidden)
    yield _figure("last layer and head", ours, theirs, tolerance)


def _figure(
    case: str, ours: NDArray[np.float32], theirs: NDArray[np.float32], tolerance: float
) -> ParityFigure:
    plain = figure(names.DECODER, case, ours, theirs, tolerance)
    return ParityFigure(plain.graph, case, plain.difference, plain.bound, layer_by_layer=True)


def _emitted_layer(
    bundle: Bundle, graph: onnx.ModelProto, layer: int, hidden: NDArray, residual: float
) -> NDArray[np.float32]:
    outputs = [f"mid.{layer}", f"branch.{layer}"]
    injected = bundle.manifest.geometry.resampler.injected_layers
    width = hidden.shape[-1]
    residuals = np.full((len(injected), 1, width), residual, np.float32)
    results = _run_cut(bundle, graph, layer, hidden, outputs, {names.RESIDUALS: residuals})
    return results[outputs[0]] + results[outputs[1]]


def _head(
    bundle: Bundle,
    graph: onnx.ModelProto,
    decoder: TorchDecoder,
    hidden: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits of the last token, the engine's and PyTorch's: (vocabulary,)."""
    last = bundle.manifest.geometry.decoder.layers - 1
    rows = {names.ROWS: np.array([TOKENS - 1], np.int64)}
    ours = _run_cut(bundle, graph, last, hidden, [names.LOGITS], rows)[names.LOGITS][0]
    final = decoder.layer(last, torch.from_numpy(hidden), PLACES)[0, -1:]
    return ours, decoder.head(final)[0].numpy()


def _run_cut(
    bundle: Bundle,
    graph: onnx.ModelProto,
    layer: int,
    hidden: NDArray[np.float32],
    outputs: list[str],
    more: Arrays,
) -> dict[str, NDArray[np.float32]]:
    """Run one layer: its stream comes in as the sum of the layer before's two tensors."""
    shape = bundle.manifest.geometry.decoder
    kinds = {spec.name: spec.type for spec in bundle.manifest.graphs[names.DECODER].inputs}
    cos, sin = (
        rows.astype(kinds[names.ROTARY_COS])
        for rows in rotary_rows(shape, text_positions(0, TOKENS))
    )
    empty = np.zeros((1, shape.kv_heads, TOKENS, shape.head_dim), kinds[names.past_key(layer)])
    entry = {names.EMBEDDINGS: hidden}
    if layer:
        entry = {f"mid.{layer - 1}": hidden, f"branch.{layer - 1}": np.zeros_like(hidden)}
    inputs: Arrays = {
        **entry,
        **more,
        names.ROTARY_COS: cos,
        names.ROTARY_SIN: sin,
        names.LAST_POSITION: np.array([TOKENS - 1], np.int32),
        names.TOTAL_LENGTH: np.array(TOKENS, np.int32),
        names.past_key(layer): empty,
        names.past_value(layer): empty,
    }
    path = bundle.folder / f"{names.DECODER}.layer.onnx"
    try:
        used = _cut(graph, inputs, outputs, path)
        return OnnxEngine(path).run({name: inputs[name] for name in used})
    finally:
        path.unlink(missing_ok=True)


def _cut(graph: onnx.ModelProto, inputs: Arrays, outputs: list[str], path: Path) -> list[str]:
    """Write the part of the graph between inputs and outputs; returns the inputs it uses.

    It lies beside the graph, so that its weights are found in the same data file.
    """
    makers = {output: node for node in graph.graph.node for output in node.output if output}
    wanted, chosen = list(outputs), {}
    while wanted:
        name = wanted.pop()
        if name not in inputs and name in makers and makers[name].name not in chosen:
            chosen[makers[name].name] = makers[name]
            wanted += makers[name].input
    nodes = [node for node in graph.graph.node if node.name in chosen]
    read = {name for node in nodes for name in node.input}
    used = [name for name in inputs if name in read]
    part = helper.make_graph(
        nodes,
        "layer",
        [tensor_info(name, inputs[name].dtype, inputs[name].shape) for name in used],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
        [weight for weight in graph.graph.initializer if weight.name in read],
    )
    model = helper.make_model(part, opset_imports=graph.opset_import, ir_version=graph.ir_version)
    onnx.save_model(model, path)
    return used

"""Every precision of the decoder: the engine multiplies with the matrix that is stored."""

import numpy as np
import onnx
import pytest
import torch

from export.checkpoints.common import CheckpointError
from export.graphs.graph_writer import GraphWriter, tensor_info
from export.graphs.precision import quantization
from export.graphs.precision.matrices import FourBits
from export.graphs.precision.quantization import linears
from runtime.engines.engine import OnnxEngine

PRECISIONS = [
    ("float32", "float", 1e-5),
    ("fp16", "float", 1e-5),
    ("int4", "float", 1e-4),
    ("int4", "int8", 0.06),
    ("int4-mixed", "float", 1e-4),
    ("int8", "int8", 0.06),
]
NAME = "layers.0.mlp.down_proj"
SIZES = [(96, 64), (128, 192), (160, 896), (48, 130)]


def matrix(rows, width, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 0.02, (rows, width))).float()


def emitted(folder, kind, accumulation, weight, name=NAME):
    """A graph of one product, run by the engine after its optimizations; and what it stores."""
    writer = linears(kind, accumulation)
    rows, width = weight.shape
    with GraphWriter(folder, "product") as graph:
        writer.linear(graph, name, "x", weight, "y")
        path = graph.save(
            [tensor_info("x", np.float32, ["n", width])],
            [tensor_info("y", np.float32, ["n", rows])],
        )
    engine = OnnxEngine(path, threads=1)
    return writer, lambda values: engine.run({"x": values})["y"]


@pytest.mark.parametrize(("kind", "accumulation", "bound"), PRECISIONS)
@pytest.mark.parametrize(("rows", "width"), SIZES)
@pytest.mark.parametrize("tokens", [1, 3, 40])
def test_the_engine_multiplies_with_the_restored_matrix(
    tmp_path, kind, accumulation, bound, rows, width, tokens
):
    weight = matrix(rows, width)
    writer, run = emitted(tmp_path, kind, accumulation, weight)
    values = np.random.default_rng(1).normal(size=(tokens, width)).astype(np.float32)
    expected = values @ writer.rounded(NAME, weight).numpy().T
    size = np.sqrt(np.mean(expected**2))
    assert np.abs(run(values) - expected).max() <= bound * size


@pytest.mark.parametrize(("kind", "accumulation", "bound"), PRECISIONS)
def test_a_token_is_multiplied_as_if_it_were_alone(tmp_path, kind, accumulation, bound):
    """However large another is, and even if that is no number: else a prefill's grouping would
    change it, and an answer could rest on what is none."""
    weight = matrix(160, 896)
    _, run = emitted(tmp_path, kind, accumulation, weight)
    values = np.random.default_rng(1).normal(size=(12, 896)).astype(np.float32)
    values[2] *= 1000
    values[5] = 0
    alone = np.concatenate([run(row[None]) for row in values])
    size = np.sqrt(np.mean(alone**2, axis=1, keepdims=True))
    assert (np.abs(run(values) - alone) <= 1e-5 * size).all()
    assert (alone[5] == 0).all()
    for unknown in (np.nan, np.inf, -np.inf):
        values[7] = unknown
        together = run(values)
        assert not np.isfinite(together[7]).any()
        others = np.arange(len(values)) != 7
        assert (np.abs(together - alone) <= 1e-5 * size)[others].all()


@pytest.mark.parametrize("name", ["lm_head", "layers.0.self_attn.kv"])
@pytest.mark.parametrize(("rows", "width"), SIZES)
@pytest.mark.parametrize("tokens", [1, 40])
def test_what_rounding_hurts_most_is_in_eight_bits_in_int4_mixed(
    tmp_path, name, rows, width, tokens
):
    weight = matrix(rows, width)
    writer, run = emitted(tmp_path, "int4-mixed", "float", weight, name)
    values = np.random.default_rng(1).normal(size=(tokens, width)).astype(np.float32)
    restored = writer.rounded(name, weight)
    assert float((restored - weight).norm() / weight.norm()) < 0.01
    expected = values @ restored.numpy().T
    assert np.abs(run(values) - expected).max() <= 0.06 * np.sqrt(np.mean(expected**2))


@pytest.mark.parametrize(
    ("kind", "least", "most"),
    [
        ("float32", 0, 0),
        ("fp16", 1e-5, 1e-3),
        ("int8", 1e-3, 0.013),
        ("int4", 0.05, 0.1),
        ("int4-mixed", 0.05, 0.1),
    ],
)
def test_rounding_costs_what_it_is_known_to_cost(tmp_path, kind, least, most):
    weight = matrix(256, 896)
    writer, _ = emitted(tmp_path, kind, "float", weight)
    relative = float((writer.rounded(NAME, weight) - weight).norm() / weight.norm())
    assert least <= relative <= most
    assert writer.summary().errors == {"down_proj": pytest.approx(relative, rel=1e-3, abs=1e-9)}


def test_four_bits_are_restored_as_the_operator_is_specified():
    weight = matrix(3, 70)
    stored = FourBits("float")
    pieces = stored.pieces(weight)
    packed, zero_points = pieces["weight"], pieces["zero_points"].reshape(3, -1)
    expected = np.zeros((3, 70), np.float32)
    for row in range(3):
        for column in range(70):
            block, place = divmod(column, 32)
            byte = int(packed[row, block, place // 2])
            value = byte >> 4 if place % 2 else byte & 15
            zero = int(zero_points[row, block // 2])
            zero = zero >> 4 if block % 2 else zero & 15
            expected[row, column] = (value - zero) * pieces["scales"][row * 3 + block]
    assert np.array_equal(stored.restored(pieces, 70).numpy(), expected)


@pytest.mark.parametrize(("kind", "accumulation", "bound"), PRECISIONS)
def test_a_matrix_in_pieces_is_the_matrix(tmp_path, monkeypatch, kind, accumulation, bound):
    weight = matrix(96, 64)
    whole, _ = emitted(tmp_path, kind, accumulation, weight)
    stored = (tmp_path / "product.onnx.data").read_bytes()
    monkeypatch.setattr(quantization, "ROWS", 25)
    pieces, _ = emitted(tmp_path, kind, accumulation, weight)
    assert (tmp_path / "product.onnx.data").read_bytes() == stored
    assert torch.equal(pieces.rounded(NAME, weight), whole.rounded(NAME, weight))


def test_what_rounding_cost_is_kept_with_the_graph(tmp_path):
    writer, _ = emitted(tmp_path, "int4", "float", matrix(96, 64))
    later = linears("int4", "float")
    later.resume(writer.facts())
    assert later.summary() == writer.summary()
    assert later.summary().errors["down_proj"] > 0.05


@pytest.mark.parametrize(("kind", "accumulation", "bound"), PRECISIONS)
@pytest.mark.parametrize("name", ["layers.0.mlp.down_proj", "layers.0.self_attn.v_proj", "lm_head"])
def test_what_a_matrix_takes_is_known_before_it_is_written(
    tmp_path, kind, accumulation, bound, name
):
    weight = matrix(48, 130)
    writer = linears(kind, accumulation)
    with GraphWriter(tmp_path, "product") as graph:
        writer.linear(graph, name, "x", weight, "y")
        graph.save([], [])
    stored = onnx.load(tmp_path / "product.onnx", load_external_data=False).graph.initializer
    lengths = [
        int(entry.value)
        for tensor in stored
        for entry in tensor.external_data
        if entry.key == "length"
    ]
    assert writer.stored_bytes(f"{name}.weight", (48, 130)) == sum(lengths)


@pytest.mark.parametrize("kind", ["float32", "fp16", "int4", "int8"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_matrix_with_a_value_that_is_no_number_is_not_written(tmp_path, kind, value):
    weight = matrix(48, 130)
    weight[3, 5] = value
    with (
        GraphWriter(tmp_path, "product") as graph,
        pytest.raises(CheckpointError, match=f"{NAME}: its values can't be stored as {kind}"),
    ):
        linears(kind).linear(graph, NAME, "x", weight, "y")
    assert (tmp_path / "product.onnx.data").stat().st_size == 0

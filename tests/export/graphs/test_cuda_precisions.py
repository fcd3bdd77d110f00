"""The decoder's precisions for CUDA: what its fused kernels take, and what they stand for."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from export.checkpoints.common import CheckpointError
from export.graphs.graph_writer import GraphWriter, tensor_info
from export.graphs.precision.quantization import linears
from export.graphs.weights import RoundedWeights

NAMES = ["layers.0.mlp.down_proj", "layers.0.self_attn.kv", "lm_head"]
HALF = onnx.TensorProto.FLOAT16


def emitted(folder, kind, weight, name):
    writer = linears(kind, target="cuda")
    rows, width = weight.shape
    with GraphWriter(folder, "product") as graph:
        writer.linear(graph, name, "x", weight, "y")
        path = graph.save(
            [tensor_info("x", np.float32, ["n", width])],
            [tensor_info("y", np.float32, ["n", rows])],
        )
    return writer, path


def matrix(rows, width):
    return torch.from_numpy(np.random.default_rng(3).normal(0, 0.02, (rows, width))).float()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["int4", "int4-mixed"])
def test_block_products_are_what_the_fused_kernel_takes(tmp_path, kind, name):
    _, path = emitted(tmp_path, kind, matrix(128, 192), name)
    graph = onnx.load(path, load_external_data=False).graph
    (product,) = (node for node in graph.node if node.op_type == "MatMulNBits")
    values = {entry.name: entry.i for entry in product.attribute}
    assert len(product.input) == 3  # no zero points, no group index, no bias
    assert values["block_size"] == 32
    assert values["bits"] == (8 if kind == "int4-mixed" and name != NAMES[0] else 4)
    (cast,) = (node for node in graph.node if node.output[0] == product.input[0])
    assert cast.op_type == "Cast" and cast.attribute[0].i == HALF
    (scales,) = (each for each in graph.initializer if each.name == product.input[2])
    assert scales.data_type == HALF


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["int4", "int4-mixed", "fp16", "float32"])
@pytest.mark.parametrize(("rows", "width"), [(128, 192), (48, 130)])
def test_the_engine_multiplies_with_the_restored_matrix(tmp_path, kind, name, rows, width):
    weight = matrix(rows, width)
    writer, path = emitted(tmp_path, kind, weight, name)
    values = np.random.default_rng(1).normal(size=(7, width)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    expected = values @ writer.rounded(name, weight).numpy().T
    # What enters and leaves is rounded to eleven bits: half of 2**-10 of a value of up to 4 rms.
    bound = 4e-3 * np.sqrt(np.mean(expected**2))
    assert np.abs(session.run(None, {"x": values})[0] - expected).max() <= bound


def test_four_bits_around_zero_are_as_the_operator_is_specified():
    weight = matrix(3, 64)
    stored = linears("int4", target="cuda").precision.usual
    pieces = stored.pieces(weight)
    expected = np.zeros((3, 64), np.float32)
    for row in range(3):
        for column in range(64):
            block, place = divmod(column, 32)
            byte = int(pieces["weight"][row, block, place // 2])
            value = byte >> 4 if place % 2 else byte & 15
            expected[row, column] = (value - 8) * np.float32(pieces["scales"][row * 2 + block])
    assert np.array_equal(stored.restored(pieces, 64).numpy(), expected)
    assert 0.05 < float((stored.restored(pieces, 64) - weight).norm() / weight.norm()) < 0.12


@pytest.mark.parametrize("name", ["layers.0.mlp.down_proj", "layers.0.self_attn.v_proj", "lm_head"])
@pytest.mark.parametrize("kind", ["int4", "int4-mixed", "fp16"])
def test_what_a_matrix_takes_is_known_before_it_is_written(tmp_path, kind, name):
    writer, path = emitted(tmp_path, kind, matrix(48, 130), name)
    stored = onnx.load(path, load_external_data=False).graph.initializer
    lengths = [int(e.value) for t in stored for e in t.external_data if e.key == "length"]
    assert writer.stored_bytes(f"{name}.weight", (48, 130)) == sum(lengths)


@pytest.mark.parametrize(
    ("kind", "accumulation", "option"),
    [("int8", "float", "--quant int8"), ("int4", "int8", "--accumulate int8")],
)
def test_activations_in_eight_bits_are_refused(kind, accumulation, option):
    with pytest.raises(CheckpointError, match=f"{option} brings activations to 8 bits"):
        linears(kind, accumulation, "cuda")


@pytest.mark.parametrize("kind", ["int4", "int4-mixed"])
def test_embeddings_are_coarser_than_floats_and_finer_than_matrices(kind):
    given = matrix(300, 130)
    writer = linears(kind, target="cuda")
    writer.note_table(Table(given))
    cost = writer.summary().errors["embed_tokens"]
    rounded = RoundedWeights(Table(given), writer)
    found = rounded.tensor("embed_tokens.weight")
    assert cost == pytest.approx(float((found - given).norm() / given.norm()), rel=1e-4)
    assert 0.01 < cost < 0.03
    assert torch.equal(rounded.embeddings([299, 3]), found[[299, 3]])


class Table:
    def __init__(self, given):
        self._given = given

    def tensor(self, name, dtype=None):
        return self._given

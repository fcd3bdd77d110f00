"""A bundle for CUDA: its types, a kernel for every node, how near it is to PyTorch."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from cuda_bundles import for_cuda, optimized
from onnx import TensorProto

from export.__main__ import main
from export.checkpoints.common import CheckpointError
from export.graphs.kernels import host_nodes, kernels, refuse_unlisted, unlisted
from export.graphs.precision.narrowing import cpu_engine
from export.parity.graphs import random_clip, random_encoding, reference_logits, reference_steps
from runtime.bundle.names import DECODER, GRAPHS, VISION
from runtime.bundle.opening import Bundle
from runtime.model.models import Models
from runtime.run.command_line import MINI

KINDS = ["int4", "int4-mixed", "fp16"]
ENCODERS = [graph for graph in GRAPHS if graph != DECODER]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cuda")
    return {kind: for_cuda(Path(MINI), folder / kind, kind) for kind in (*KINDS, "float32")}


@pytest.fixture(scope="module")
def exported(tiny_folder, tmp_path_factory):
    """Through the command line, with the weights of `tiny_reference`."""
    beside, out = tiny_folder.with_name("tiny-checkpoints"), tmp_path_factory.mktemp("out")
    files = ["--qwen", beside / "qwen", "--vjepa", beside / "vjepa.pt"]
    files += ["--gaze", beside / "gazeqwen.pt", "--vjepa-pixels", "64", "--live-grid", "3x4"]
    drawn = [*files, "--quant", "float32", "--target", "cuda", "--out", out / "tiny"]
    assert main([*map(str, drawn)]) == 0
    return Bundle.open(out / "tiny")


def graph_of(folder, graph):
    return onnx.load(folder / f"{graph}.onnx", load_external_data=False).graph


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("graph", GRAPHS)
def test_every_node_has_a_kernel_before_and_after_optimization(bundles, tmp_path, graph, kind):
    assert unlisted(graph_of(bundles[kind], graph)) == []
    runnable = cpu_engine_path(bundles[kind], graph, tmp_path)
    (tmp_path / "optimized").mkdir()
    assert unlisted(optimized(runnable, tmp_path / "optimized")) == []


def cpu_engine_path(folder, graph, scratch):
    from export.graphs.precision.narrowing import write_for_cpu

    (scratch / "runnable").mkdir()
    return write_for_cpu(folder / f"{graph}.onnx", scratch / "runnable")


def test_an_attention_in_float32_is_caught():
    found = unlisted(graph_of(Path(MINI), DECODER))
    assert {(each.operator, each.type) for each in found} == {("GroupQueryAttention", "float")}
    assert len(found) == 6
    with pytest.raises(CheckpointError, match=r"GroupQueryAttention of float .* and 5 more nodes"):
        refuse_unlisted(DECODER, graph_of(Path(MINI), DECODER))


def test_products_that_quantize_as_they_go_are_caught(tmp_path):
    node = onnx.helper.make_node(
        "DynamicQuantizeMatMul", ["x", "w", "s"], ["y"], "y", domain="com.microsoft"
    )
    info = [onnx.helper.make_tensor_value_info("x", TensorProto.FLOAT, None)]
    weights = [
        onnx.numpy_helper.from_array(np.zeros((2, 2), kind), name)
        for name, kind in (("w", np.int8), ("s", np.float32))
    ]
    graph = onnx.helper.make_graph([node], "g", info, [], weights)
    assert [each.operator for each in unlisted(graph)] == ["DynamicQuantizeMatMul"]


def test_nothing_stays_on_the_host(bundles):
    manifest = Bundle.open(bundles["int4"]).manifest
    assert not any(manifest.host_nodes.values())
    for graph in manifest.graphs:
        assert not host_nodes(graph_of(bundles["int4"], graph))


def test_arithmetic_on_sizes_is_listed_and_nothing_else():
    """A product of an input with itself, put into a shape that is computed from its own."""
    node = onnx.helper.make_node
    nodes = [
        node("Shape", ["x"], ["shape"], "shape of x"),
        node("Gather", ["shape", "first"], ["rows"], "rows of x"),
        node("Concat", ["rows", "rest"], ["wanted"], "wanted", axis=0),
        node("MatMul", ["x", "w"], ["product"], "product"),
        node("Reshape", ["product", "wanted"], ["y"], "reshaped"),
    ]
    tensors = [
        onnx.helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4]),
        onnx.helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2, 2]),
    ]
    weights = {"first": np.array([0]), "rest": np.array([2, 2]), "w": np.eye(4, dtype=np.float32)}
    kept = [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = onnx.helper.make_graph(nodes, "g", tensors[:1], tensors[1:], kept)
    assert set(host_nodes(graph)) == {"shape of x", "rows of x", "wanted"}


def test_the_table_names_a_version_and_types_for_every_operator():
    assert kernels()["com.microsoft", "GroupQueryAttention"].types == {"float16", "bfloat16"}
    for kernel in kernels().values():
        assert kernel.types and kernel.version >= "1.23"


def test_types_are_said_by_the_bundle(bundles):
    for kind in KINDS:
        manifest = Bundle.open(bundles[kind]).manifest
        types = {spec.name: spec.type for spec in manifest.graphs[DECODER].inputs}
        halves = {name for name, type_ in types.items() if type_ == "float16"}
        past = {name for name in types if "past_" in name}
        tables = {"rotary_cos", "rotary_sin"}
        assert halves == past | tables | {f"beside.{name}" for name in tables}
        assert len(past) == 2 * 2 * Bundle.open(MINI).manifest.geometry.decoder.layers
        assert manifest.encoders[VISION] == "bf16"


@pytest.mark.parametrize("graph", ENCODERS)
def test_encoders_are_half_the_size_and_keep_their_softmax_and_sums(bundles, graph):
    narrow, wide = ((folder / f"{graph}.onnx.data") for folder in (bundles["int4"], Path(MINI)))
    assert narrow.stat().st_size < 0.8 * wide.stat().st_size
    written = graph_of(bundles["int4"], graph)
    kind = TensorProto.BFLOAT16 if graph == VISION else TensorProto.FLOAT16
    assert {w.data_type for w in written.initializer} <= {
        kind, TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL, TensorProto.INT32
    }  # fmt: skip
    narrowed = {node.output[0] for node in written.node if node.op_type == "MatMul"}
    casts = {node.input[0] for node in written.node if node.op_type == "Cast"}
    sums = [node for node in written.node if node.op_type in ("Add", "LayerNormalization")]
    assert not any(narrowed.intersection(node.input) for node in sums)
    assert narrowed & casts


def test_float16_attention_is_near_pytorch_with_hooks(exported, tiny_reference):
    models = Models(exported, cpu_engine)
    clip = random_clip(models, 11, (3, 4), [random_encoding(models, step) for step in range(4)])
    steps = reference_steps(tiny_reference, clip)
    theirs = reference_logits(models, tiny_reference, clip, steps)
    context = models.context(clip.grid, 200)
    for step in steps:
        context.append_step(step.visual.numpy(), step.residuals[:3].numpy())
    ours = context.append_text(np.array(clip.text))
    difference = np.abs(ours - theirs).max()
    assert 1e-6 < difference <= 5e-3 * max(1.0, float(np.sqrt(np.mean(theirs**2))))
    assert ours.argmax() == theirs.argmax()


def test_both_errors_are_said(exported):
    cases = {figure.case: figure for figure in exported.manifest.parity}
    assert exported.manifest.target == "cuda"
    for graph in ("fp16 alone, features", "bf16 alone, visual", "fp16 alone, residuals"):
        told = [figure for case, figure in cases.items() if f"rounding to {graph}" in case]
        assert len(told) >= 2 and all(0 < figure.difference <= figure.bound for figure in told)
    for case in ("features, live grid", "visual embeddings, live grid", "logits, with gaze"):
        assert cases[case].holds


def test_eight_bits_as_they_come_are_refused_in_one_line(tmp_path, capsys):
    out = tmp_path / "out"
    drawn = ["--random", "tiny", "--quant", "int8", "--target", "cuda", "--out", str(out)]
    assert main(drawn) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: --quant int8") and "--target cpu" in line
    assert not out.exists()

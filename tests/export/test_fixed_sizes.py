"""A graph for one size of its inputs: what TensorRT builds of V-JEPA at its real size."""

import numpy as np
import pytest

from runtime.bundle.opening import Bundle
from runtime.engines.choice import IN_TENSORRT
from runtime.engines.engine import OnnxEngine
from runtime.engines.shape_profiles import ShapeProfile, ShapeRange, shape_profiles
from runtime.engines.tensorrt_engine import tensorrt_module


@pytest.fixture(scope="module")
def real_side(tmp_path_factory):
    """V-JEPA's graph at its real 384 px: 4,608 tokens, of a small width and one block."""
    import torch

    from export.graphs.traced import export_vjepa
    from export.modules.vjepa import VJepaEncoder, VJepaGeometry

    torch.manual_seed(0)
    encoder = VJepaEncoder(VJepaGeometry(width=64, depth=1, pixels=384))
    return export_vjepa(encoder, tmp_path_factory.mktemp("vjepa"))


FRAMES = (16, 252, 336, 3)  # of the default live grid


def test_at_384_pixels_no_arithmetic_on_sizes_is_left_and_numbers_stay(real_side, tmp_path):
    import onnx

    from export.graphs.fixed_sizes import write_for_sizes
    from export.graphs.kernels import host_nodes

    path = write_for_sizes(real_side, {"frames": FRAMES}, tmp_path)
    onnx.checker.check_model(str(path), full_check=True)
    graph = onnx.load(path, load_external_data=False).graph
    assert host_nodes(onnx.load(real_side, load_external_data=False).graph)
    assert host_nodes(graph) == ()
    whole = onnx.shape_inference.infer_shapes(onnx.load(path)).graph.value_info
    types = {value.name: value.type.tensor_type.elem_type for value in whole}
    counted = [node for node in graph.node if types.get(node.output[0]) == onnx.TensorProto.INT64]
    assert counted == []
    frames = np.random.default_rng(0).integers(0, 256, FRAMES, np.uint8)
    (ours,) = OnnxEngine(path).run({"frames": frames}).values()
    (theirs,) = OnnxEngine(real_side).run({"frames": frames}).values()
    assert ours.shape == (8, 24, 24, 64)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


def test_at_384_pixels_it_builds(real_side, tiny_folder, monkeypatch):
    if tensorrt_module("tensorrt_rtx") is None:
        pytest.skip("needs the extra 'tensorrt-rtx'")
    from export.tensorrt import EngineBuilder, Order

    order = Order("tensorrt_rtx", ("8.6", "8.9", "12.0"), ("fp16",), None)
    bundle = Bundle.open(tiny_folder)
    monkeypatch.setattr(type(bundle), "graph_path", lambda self, graph: real_side)
    span = ShapeRange(FRAMES, FRAMES, FRAMES)
    for precision in ("float32", "fp16"):
        profile = ShapeProfile("live", {"frames": span})
        engine = EngineBuilder(bundle, order)._serialized("vjepa", profile, precision)
        assert len(engine) > 10_000


@pytest.mark.parametrize("graph", IN_TENSORRT)
def test_a_graph_for_one_size_is_the_same_graph(tiny_folder, tmp_path, graph):
    from export.graphs.fixed_sizes import write_for_sizes
    from export.graphs.likeness import random_inputs

    bundle = Bundle.open(tiny_folder)
    live, evaluation = shape_profiles(bundle.manifest, graph)
    assert evaluation.sizes is None
    path = write_for_sizes(bundle.graph_path(graph), live.sizes, tmp_path)
    inputs = random_inputs(bundle.manifest, graph, live.sizes)
    exact = OnnxEngine(bundle.graph_path(graph)).run(inputs)
    for name, found in OnnxEngine(path).run(inputs).items():
        scale = np.abs(exact[name]).max()
        np.testing.assert_allclose(found, exact[name], rtol=0, atol=1e-5 * scale)

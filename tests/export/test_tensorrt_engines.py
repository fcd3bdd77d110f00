"""TensorRT engines: built for machines that are not here, and never loaded on a wrong one."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from runtime.bundle.opening import Bundle
from runtime.engines.choice import IN_TENSORRT
from runtime.engines.engine import OnnxEngine
from runtime.engines.gpu import Gpu
from runtime.engines.shape_profiles import input_shapes
from runtime.engines.store import EngineStore, Target
from runtime.engines.tensorrt_engine import tensorrt_module
from runtime.errors import EngineError

ADA = Gpu("a laptop GPU", "8.9", 8 << 30)


@pytest.fixture(scope="module")
def order():
    from export.tensorrt import Order

    return Order("tensorrt_rtx", ("8.6", "8.9", "12.0"), ("fp16",), None)


@pytest.fixture(scope="module")
def built(tiny_folder, order, tmp_path_factory):
    """All engines of the tiny bundle in a copy of it, built once."""
    import shutil

    if tensorrt_module("tensorrt_rtx") is None:
        pytest.skip("needs the extra 'tensorrt-rtx'")
    from export.tensorrt import EngineBuilder

    bundle = Bundle.open(shutil.copytree(tiny_folder, tmp_path_factory.mktemp("rtx") / "tiny"))
    return bundle, list(EngineBuilder(bundle, order).build())


def target(capability="8.9"):
    version = tensorrt_module("tensorrt_rtx").__version__
    return Target("tensorrt_rtx", version, "a laptop GPU", capability)


def test_every_graph_builds_for_three_generations(built):
    bundle, records = built
    assert sorted(record.key.graph for record in records) == sorted(IN_TENSORRT)
    store = EngineStore(bundle.folder, bundle.manifest)
    for record in records:
        assert record.file.size > 10_000
        assert record.parity == "unmeasured"
        for capability in ("8.6", "8.9", "12.0"):
            found = store.find(record.key.graph, target(capability))
            assert found == store.path(record.key)


def test_what_was_built_is_not_built_again(built, order, monkeypatch):
    from export.tensorrt import EngineBuilder

    bundle, records = built
    builder = EngineBuilder(bundle, order)
    monkeypatch.setattr(builder, "_serialized", lambda *_: pytest.fail("built again"))
    assert list(builder.build()) == records


def test_rtx_says_which_generations_it_knows(tiny_folder, order):
    if tensorrt_module("tensorrt_rtx") is None:
        pytest.skip("needs the extra 'tensorrt-rtx'")
    from export.tensorrt import EngineBuilder

    builder = EngineBuilder(Bundle.open(tiny_folder), replace(order, capabilities=("5.2",)))
    with pytest.raises(EngineError, match="does not build for SM 52: it knows 75, 80, 86, 89, 120"):
        next(builder.build())


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_products_in_sixteen_bits_leave_the_rest_in_float32(tiny_folder, tmp_path, precision):
    import onnx

    from export.graphs.precision.low_precision import write_with_precision

    bundle = Bundle.open(tiny_folder)
    source = bundle.graph_path("resampler.gaze")
    path = write_with_precision(source, precision, tmp_path)
    onnx.checker.check_model(str(path), full_check=True)
    kinds = {"fp16": onnx.TensorProto.FLOAT16, "bf16": onnx.TensorProto.BFLOAT16}
    graph = onnx.load(path).graph
    to_low = {
        node.output[0]
        for node in graph.node
        if node.op_type == "Cast" and node.attribute[0].i == kinds[precision]
    } | {weight.name for weight in graph.initializer if weight.data_type == kinds[precision]}
    products = [node for node in graph.node if node.op_type == "MatMul"]
    assert products and all(name in to_low for node in products for name in node.input)


def test_sixteen_bits_come_near_float32(tiny_folder, tmp_path):
    from export.graphs.likeness import random_inputs, relative_difference
    from export.graphs.precision.low_precision import write_with_precision

    bundle = Bundle.open(tiny_folder)
    for graph in IN_TENSORRT:
        source = bundle.graph_path(graph)
        inputs = random_inputs(bundle.manifest, graph, input_shapes(bundle.manifest, graph, (3, 5)))
        exact = OnnxEngine(source).run(inputs)
        rounded = OnnxEngine(write_with_precision(source, "fp16", tmp_path)).run(inputs)
        for name, reference in exact.items():
            assert 0 < relative_difference(rounded[name], reference) < 0.05


def test_what_is_not_finite_is_infinitely_far():
    from export.graphs.likeness import relative_difference

    assert relative_difference(np.array([np.nan]), np.array([1.0])) == float("inf")
    assert relative_difference(np.array([3.0, 4.0]), np.array([3.0, 5.0])) == pytest.approx(
        1 / np.sqrt(17)
    )


class Candidates:
    """A builder whose engines are their precision's name."""

    def __new__(cls, bundle, order, differences, monkeypatch):
        from export import tensorrt

        library = SimpleNamespace(__version__="1.0", Logger=lambda level: None)
        library.Logger.ERROR = 0
        monkeypatch.setattr(tensorrt, "tensorrt_module", lambda flavour: library)
        builder = tensorrt.EngineBuilder(
            bundle, order, lambda engine, *_: differences[engine.decode()]
        )
        monkeypatch.setattr(builder, "_serialized", lambda graph, precision: precision.encode())
        return builder


@pytest.fixture
def copied(tiny_folder, tmp_path):
    import shutil

    return Bundle.open(shutil.copytree(tiny_folder, tmp_path / "tiny"))


def test_the_precision_measured_nearer_is_kept(copied, order, monkeypatch):
    both = replace(order, precisions=("fp16", "bf16"))
    records = list(Candidates(copied, both, {"fp16": 0.02, "bf16": 0.01}, monkeypatch).build())
    assert {record.key.precision for record in records} == {"bf16"}
    assert {record.difference for record in records} == {0.01}


def test_an_engine_too_far_from_float32_is_refused(copied, order, monkeypatch):
    builder = Candidates(copied, order, {"fp16": float("inf")}, monkeypatch)
    with pytest.raises(EngineError, match="--precision float32"):
        next(builder.build())


def test_the_vision_tower_is_never_fp16_unless_asked_for(copied, order, monkeypatch):
    both, measured = replace(order, precisions=("fp16", "bf16")), {"fp16": 0.01, "bf16": 0.02}
    nearer = Candidates(copied, both, measured, monkeypatch).build()
    built = {record.key.graph: record.key.precision for record in nearer}
    assert built == {**dict.fromkeys(IN_TENSORRT, "fp16"), "vision": "bf16"}
    alone = Candidates(copied, order, measured, monkeypatch)
    assert {r.key.precision for r in alone.build() if r.key.graph == "vision"} == {"fp16"}


def test_foreign_and_misfitting_engines_are_never_found(copied, order, monkeypatch):
    next(Candidates(copied, order, {"fp16": None}, monkeypatch).build())  # vjepa
    store = EngineStore(copied.folder, copied.manifest)
    fitting = Target("tensorrt_rtx", "1.0", "a laptop GPU", "8.9")
    path = store.find("vjepa", fitting)
    wrong = {
        "version 1.0": replace(fitting, version="1.1"),
        "this GPU has 9.0": replace(fitting, capability="9.0"),
        "flavour tensorrt_rtx": replace(fitting, flavour="tensorrt"),
    }
    for part, other in wrong.items():
        with pytest.raises(EngineError, match=part) as caught:
            store.find("vjepa", other)
        assert "\n" not in str(caught.value)
        assert "python -m export.tensorrt" in str(caught.value)
    settings = replace(copied.manifest.settings, live_height=5)
    with pytest.raises(EngineError, match="built for shapes"):
        EngineStore(copied.folder, replace(copied.manifest, settings=settings)).find(
            "vjepa", fitting
        )
    files = dict(copied.manifest.files)
    files["vjepa.onnx"] = replace(files["vjepa.onnx"], sha256="0" * 64)
    with pytest.raises(EngineError, match="built for graph"):
        EngineStore(copied.folder, replace(copied.manifest, files=files)).find("vjepa", fitting)
    path.write_bytes(b"foreign")
    with pytest.raises(EngineError, match="not the engine that was built here"):
        store.find("vjepa", fitting)
    path.with_suffix(".json").write_text("{")
    with pytest.raises(EngineError, match="its record is damaged"):
        store.find("vjepa", fitting)


def test_without_gpu_or_list_the_command_says_what_to_give(monkeypatch):
    from export import tensorrt

    monkeypatch.setattr(tensorrt, "tensorrt_module", lambda flavour: SimpleNamespace())
    arguments = tensorrt.parse_arguments(["b", "--flavour", "tensorrt_rtx"])
    with pytest.raises(EngineError, match="--sm 86,89,120"):
        tensorrt.make_order(arguments, None)
    arguments = tensorrt.parse_arguments(["b", "--flavour", "tensorrt", "--sm", "89"])
    with pytest.raises(EngineError, match="there is none here"):
        tensorrt.make_order(arguments, None)
    with pytest.raises(EngineError, match="give compute capabilities"):
        options = tensorrt.parse_arguments(["b", "--flavour", "tensorrt_rtx", "--sm", "ada"])
        tensorrt.make_order(options, None)
    options = tensorrt.parse_arguments(["b", "--flavour", "tensorrt_rtx", "--sm", "86,12.0"])
    assert tensorrt.make_order(options, ADA).capabilities == ("8.6", "12.0")

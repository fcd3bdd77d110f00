"""WebGPU without a GPU: how it is found, what may stay on the host, how tensors get there."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

from runtime.bundle.opening import Bundle
from runtime.engines.choice import Machine, choose_engine
from runtime.engines.device_engine import strays
from runtime.engines.placing import GIVEN, RESULT, SHAPE, placing_graph
from runtime.engines.webgpu import PROVIDER, WebGpu, computes_nothing, find_webgpu
from runtime.errors import EngineError
from runtime.run.command_line import MINI

BARE = Machine(None, ("CPUExecutionProvider",), {})


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64, np.int32])
def test_a_tensor_is_placed_under_a_shape(dtype):
    session = onnxruntime.InferenceSession(placing_graph(np.dtype(dtype)))
    given = np.arange(300).astype(dtype).reshape(3, 100)
    placed = session.run([RESULT], {GIVEN: given, SHAPE: np.array([1, 50, 6])})[0]
    assert placed.dtype == dtype
    np.testing.assert_array_equal(placed, given.reshape(1, 50, 6))


class Runtime:
    """ONNX Runtime, as far as a provider is looked for."""

    __version__ = "9.9"

    def __init__(self, built_in=False, devices=(), fits=True):
        self.built_in, self.devices, self.fits = built_in, devices, fits
        self.registered = []

    def get_available_providers(self):
        return [PROVIDER] if self.built_in else ["CPUExecutionProvider"]

    def register_execution_provider_library(self, name, path):
        if not self.fits or self.registered:
            raise RuntimeError("made for another version, or registered before")
        self.registered.append(path)

    def get_ep_devices(self):
        return self.devices if self.registered else [device("CPUExecutionProvider")]


def device(name=PROVIDER):
    hardware = SimpleNamespace(metadata={"Discrete": "1"})
    metadata = {"library_path": "there/lib.so", "version": "0.4", "vendor": "a maker"}
    return SimpleNamespace(ep_name=name, ep_metadata=metadata, device=hardware)


def plugin(name):
    assert name == "onnxruntime_ep_webgpu"
    return SimpleNamespace(get_library_path=lambda: "there/lib.so")


def missing(name):
    raise ModuleNotFoundError(name)


def test_a_built_in_provider_needs_no_plugin():
    found = find_webgpu(Runtime(built_in=True), missing)
    assert found == WebGpu("built into onnxruntime 9.9")


def test_a_plugin_is_registered_and_its_device_told():
    runtime = Runtime(devices=[device("CPUExecutionProvider"), device(), device()])
    for _ in range(2):  # every run looks for it, and a library is registered once
        found = find_webgpu(runtime, plugin)
        assert runtime.registered == ["there/lib.so"]
        assert found.told == "plugin of unknown version, vendor a maker, Discrete 1"
        assert found.devices == (runtime.devices[1],)


def test_no_plugin_no_device_or_one_that_does_not_fit_is_no_webgpu():
    assert find_webgpu(Runtime(), missing) is None
    assert find_webgpu(Runtime(devices=[device("CPUExecutionProvider")]), plugin) is None
    assert find_webgpu(Runtime(devices=[device()], fits=False), plugin) is None


def test_asked_for_and_missing_is_one_line():
    with pytest.raises(EngineError, match=r"^--engine webgpu: .*extra 'webgpu'.* --engine cpu$"):
        choose_engine("webgpu", Bundle.open(MINI), BARE)


def test_a_bundle_in_bfloat16_is_refused():
    bundle = Bundle.open(MINI)
    encoders = {**bundle.manifest.encoders, "vision": "bf16"}
    for_cuda = replace(bundle, manifest=replace(bundle.manifest, encoders=encoders))
    with pytest.raises(EngineError, match="export it with --target cpu --quant int4"):
        choose_engine("webgpu", for_cuda, replace(BARE, webgpu=WebGpu("there")))


@pytest.mark.parametrize("graph", ["decoder", "vision", "vjepa"])
def test_a_bundle_that_multiplies_in_8_bits_is_refused(graph):
    bundle = Bundle.open(MINI)
    manifest = bundle.manifest
    if graph == "decoder":
        rounded = replace(manifest, quantization=replace(manifest.quantization, kind="int8"))
    else:
        rounded = replace(manifest, encoders={**manifest.encoders, graph: "int8"})
    with pytest.raises(EngineError, match="8 bits: export it with --quant int4 and without"):
        for_cpu = replace(bundle, manifest=rounded)
        choose_engine("webgpu", for_cpu, replace(BARE, webgpu=WebGpu("there")))


def node(name, operator, provider, *types):
    return {
        "cat": "Node",
        "name": f"{name}_kernel_time",
        "args": {
            "op_name": operator,
            "provider": provider,
            "output_type_shape": [{kind: [2, 3]} for kind in types],
        },
    }


def test_the_host_may_count_and_cast_but_not_compute(tmp_path):
    profile = tmp_path / "profile.json"
    host = "CPUExecutionProvider"
    events = [
        {"cat": "Session", "name": "model_run"},
        node("sizes", "Mul", host, "int64"),
        node("is.less", "Less", host, "bool"),
        node("pixels", "Cast", host, "float"),
        node("copied", "MemcpyFromHost", host, "float"),
        node("product", "MatMul", PROVIDER, "float"),
    ]
    profile.write_text(json.dumps(events))
    assert strays(profile, computes_nothing) == []
    profile.write_text(json.dumps([*events, node("deep", "SpaceToDepth", host, "float")]))
    assert strays(profile, computes_nothing) == ["SpaceToDepth (deep)"]

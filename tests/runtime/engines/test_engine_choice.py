"""Which engine runs: by what is there, or as asked, with the reason in one line."""

import ctypes
from dataclasses import replace

import numpy as np
import pytest

from runtime.bundle.opening import Bundle
from runtime.engines.choice import Machine, choose_engine
from runtime.engines.gpu import Gpu, find_gpu
from runtime.engines.tensors import Place
from runtime.errors import EngineError

ORIN = Gpu("Orin", "8.7", 32 << 30)
BOTH = ("CUDAExecutionProvider", "CPUExecutionProvider")
BARE = Machine(None, ("CPUExecutionProvider",), {})


@pytest.fixture(scope="module")
def for_cpu(tiny_folder):
    return Bundle.open(tiny_folder)


@pytest.fixture(scope="module")
def bundle(for_cpu):
    """One that says that it is for CUDA; what it holds was made for a CPU."""
    return replace(for_cpu, manifest=replace(for_cpu.manifest, target="cuda"))


def machine_of(providers, tensorrt, trial=lambda bundle, settings: None):
    return Machine(ORIN, providers, tensorrt, trial)


def test_without_a_gpu_it_is_the_cpu(bundle):
    choice = choose_engine("auto", bundle, BARE)
    assert choice.line == "cpu: no NVIDIA GPU found"
    assert choice.load(bundle.graph_path("resampler.gaze")).name.endswith("cpu")


def test_a_gpu_that_onnxruntime_can_not_use(bundle):
    choice = choose_engine("auto", bundle, machine_of(BARE.providers, {}))
    assert choice.kind == "cpu"
    assert "extra 'gpu'" in choice.line


def test_cuda_without_tensorrt_says_what_is_missing(bundle):
    choice = choose_engine("auto", bundle, machine_of(BOTH, {}))
    assert choice.kind == "cuda"
    assert "Orin, compute capability 8.7" in choice.line
    assert "TensorRT is not installed" in choice.line


def test_tensorrt_without_engines_says_how_to_build_them(bundle):
    machine = machine_of(BOTH, {"tensorrt": "10.9"})
    choice = choose_engine("auto", bundle, machine)
    assert choice.kind == "cuda"
    assert "python -m export.tensorrt" in choice.line
    with pytest.raises(EngineError, match="no tensorrt engine of vjepa"):
        choose_engine("tensorrt", bundle, machine)


@pytest.mark.parametrize("asked", ["cuda", "tensorrt"])
def test_what_is_asked_for_and_missing_is_one_line(bundle, asked):
    with pytest.raises(EngineError) as caught:
        choose_engine(asked, bundle, BARE)
    assert str(caught.value) == (f"--engine {asked}: no NVIDIA GPU found: run with --engine cpu")


def test_asked_for_beats_what_is_there(bundle):
    assert choose_engine("cpu", bundle, machine_of(BOTH, {})).line == "cpu: asked for"
    assert choose_engine("cuda", bundle, machine_of(BOTH, {})).kind == "cuda"


def failing(bundle, settings):
    raise EngineError("CUDA can't load it: no kernels")


def test_a_session_that_can_not_be_opened_leaves_auto_on_the_cpu_with_the_reason(bundle):
    machine = machine_of(BOTH, {}, failing)
    assert choose_engine("auto", bundle, machine).line == "cpu: CUDA can't load it: no kernels"
    with pytest.raises(EngineError, match="no kernels"):
        choose_engine("cuda", bundle, machine)


def test_a_bundle_for_cpus_is_not_run_slowly_under_the_name_of_cuda(for_cpu):
    machine = machine_of(BOTH, {})
    assert "export it with --target cuda" in choose_engine("auto", for_cpu, machine).line
    assert choose_engine("auto", for_cpu, machine).kind == "cpu"
    for asked in ("cuda", "tensorrt"):
        with pytest.raises(EngineError, match="was exported for CPUs"):
            choose_engine(asked, for_cpu, machine)


@pytest.mark.parametrize("asked", ["auto", "cpu"])
def test_a_bundle_for_cuda_is_refused_by_a_cpu_in_one_line(bundle, asked):
    encoders = {**bundle.manifest.encoders, "vision": "bf16"}
    there = replace(bundle, manifest=replace(bundle.manifest, encoders=encoders))
    with pytest.raises(EngineError, match=r"exported for CUDA, .* export it with --target cpu"):
        choose_engine(asked, there, BARE)


class Driver:
    """CUDA's driver, with one GPU."""

    def __init__(self, status=0, integrated=0):
        self.status, self.integrated = status, integrated
        self.held = self.current = 0

    def cuInit(self, flags):
        return self.status

    def cuDeviceGet(self, device, index):
        return 0

    def cuDeviceGetName(self, name, length, device):
        name.value = b"Orin"

    def cuDeviceTotalMem_v2(self, memory, device):
        ctypes.cast(memory, ctypes.POINTER(ctypes.c_size_t))[0] = 32 << 30

    def cuDeviceGetAttribute(self, number, attribute, device):
        known = {75: 8, 76: 7, 18: self.integrated}
        ctypes.cast(number, ctypes.POINTER(ctypes.c_int))[0] = known[attribute]

    def cuDevicePrimaryCtxRetain(self, context, device):
        self.held += 1
        return 0

    def cuCtxPushCurrent_v2(self, context):
        self.current += 1

    def cuMemGetInfo_v2(self, free, total):
        if not self.current:
            return 201  # no context
        ctypes.cast(free, ctypes.POINTER(ctypes.c_size_t))[0] = 5 << 30
        return 0

    def cuCtxPopCurrent_v2(self, context):
        self.current -= 1

    def cuDevicePrimaryCtxRelease_v2(self, device):
        self.held -= 1


def test_the_gpu_as_its_driver_tells_it():
    driver = Driver()
    assert find_gpu(driver) == replace(ORIN, free=5 << 30)
    assert (driver.held, driver.current) == (0, 0)
    assert find_gpu(Driver(status=100)) is None


def test_a_gpu_in_the_hosts_memory_has_what_the_host_has_available(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       32000000 kB\nMemAvailable:    7000000 kB\n")
    assert find_gpu(Driver(integrated=1), meminfo).free == 7000000 * 1024
    assert find_gpu(Driver(integrated=1), tmp_path / "none").free is None


class FakeContext:
    """Doubles 4 floats, by their addresses."""

    def set_optimization_profile_async(self, number, stream):
        return number == 0

    def set_input_shape(self, name, shape):
        self.shape = shape

    def get_tensor_shape(self, name):
        return self.shape

    def execute_v2(self, pointers):
        source, result = (ctypes.cast(p, ctypes.POINTER(ctypes.c_float)) for p in pointers)
        for index in range(4):
            result[index] = 2 * source[index]
        return True


class FakeLibrary:
    """TensorRT's API, as far as an engine is run with it."""

    __name__, __version__, num_io_tensors = "tensorrt", "10.9", 2
    ERROR = 0

    def Logger(self, level):
        return None

    Logger.ERROR = 0

    def Runtime(self, logger):
        return self

    def deserialize_cuda_engine(self, content):
        return self if content == b"engine" else None

    class ExecutionContextAllocationStrategy:
        ON_PROFILE_CHANGE = 1

    def create_execution_context(self, strategy):
        assert strategy == 1
        return FakeContext()

    def get_tensor_name(self, index):
        return ("given", "result")[index]

    def get_tensor_dtype(self, name):
        return "float"

    def nptype(self, kind):
        return np.float32


def test_tensorrt_reads_and_writes_device_memory(tmp_path):
    from runtime.engines.shape_profiles import ShapeProfile, ShapeRange
    from runtime.engines.tensorrt_engine import TensorRTEngine

    path = tmp_path / "a.engine"
    path.write_bytes(b"engine")
    profile = ShapeProfile("live", {"given": ShapeRange((2, 2), (2, 2), (2, 2))})
    engine = TensorRTEngine(FakeLibrary(), path, [profile], place=Place("cpu", resident=True))
    given = np.array([[1, 2], [3, 4]], np.float32)
    np.testing.assert_array_equal(engine.run({"given": given})["result"], 2 * given)
    kept = engine.run({"given": given}, keep=["result"])["result"]
    again = engine.run({"given": kept})["result"]
    np.testing.assert_array_equal(again, 4 * given)
    buffer = engine.buffer((2, 2), np.float32)
    assert engine.run({"given": given}, into={"result": buffer}) == {}
    np.testing.assert_array_equal(buffer.numpy(), 2 * given)
    with pytest.raises(EngineError, match="built for live shapes"):
        engine.run({"given": np.zeros((3, 2), np.float32)})
    path.write_bytes(b"foreign")
    with pytest.raises(EngineError, match=r"tensorrt 10\.9 refuses it"):
        TensorRTEngine(FakeLibrary(), path, [profile])

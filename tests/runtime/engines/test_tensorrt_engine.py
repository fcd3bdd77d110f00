"""An engine is read in pieces, and what TensorRT-RTX compiled is there at the next start."""

import numpy as np
import pytest

from runtime.engines import tensorrt_engine
from runtime.engines.gpu import find_gpu
from runtime.engines.shape_profiles import ShapeProfile, ShapeRange
from runtime.engines.tensorrt_engine import TensorRTEngine, read_in_pieces, tensorrt_module
from runtime.engines.tensors import Place
from runtime.errors import EngineError

PROFILES = [
    ShapeProfile("live", {"given": ShapeRange((1, 2), (2, 2), (3, 2))}),
    ShapeProfile("evaluation", {"given": ShapeRange((4, 2), (5, 2), (6, 2))}),
]
ENGINE = bytes(range(10))


class NewerReader:
    """TensorRT's base class of readers, which may give less than is asked for."""

    ready = False

    def __init__(self):
        self.ready = True


class Rtx:
    """TensorRT-RTX's API, as far as an engine is run with it; its driver is `driver`."""

    __name__, __version__, num_io_tensors = "tensorrt_rtx", "1.7", 2
    IStreamReaderV2 = NewerReader

    def __init__(self, driver=b"580"):
        self.driver, self.compiled, self.compilations = driver, set(), 0
        self.pieces = []

    class Logger:
        ERROR = 0

        def __init__(self, level):
            pass

    def Runtime(self, logger):
        return self

    def deserialize_cuda_engine(self, reader):
        assert reader.ready
        while piece := reader.read(1000, 0):
            self.pieces.append(piece)
        assert reader.seek(4, 0)
        assert reader.read(2, 0) == ENGINE[4:6]
        return self

    class ExecutionContextAllocationStrategy:
        ON_PROFILE_CHANGE = "the memory that a profile takes"

    def create_runtime_config(self):
        return self

    def set_execution_context_allocation_strategy(self, strategy):
        self.strategy = strategy

    def set_optimization_profile_async(self, number, stream):
        self.profile = number
        return number < 2

    def create_runtime_cache(self):
        return self

    def set_runtime_cache(self, cache):
        assert cache is self

    def deserialize(self, kept):
        driver, *shapes = kept.split(b"|")
        if driver != self.driver:
            return False
        self.compiled = set(shapes)
        return True

    def serialize(self):
        return b"|".join([self.driver, *sorted(self.compiled)])

    def create_execution_context(self, settings):
        if settings is not self:
            self.strategy = settings
        return self

    def set_input_shape(self, name, shape):
        self.shape = shape
        if (told := str(shape).encode()) not in self.compiled:
            self.compilations += 1
            self.compiled.add(told)

    def execute_v2(self, pointers):
        return True

    def get_tensor_shape(self, name):
        return self.shape

    def get_tensor_name(self, index):
        return ("given", "result")[index]

    def get_tensor_dtype(self, name):
        return "float"

    def nptype(self, kind):
        return np.float32


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.engine"
    path.write_bytes(ENGINE)
    return path


def opened(path, kernels, driver=b"580", profile="live"):
    library = Rtx(driver)
    return library, TensorRTEngine(library, path, PROFILES, profile, Place("cpu"), kernels)


def run(engine, rows):
    engine.run({"given": np.zeros((rows, 2), np.float32)})


def test_an_engine_is_read_in_pieces(path, tmp_path, monkeypatch):
    monkeypatch.setattr(tensorrt_engine, "PIECE", 4)
    library, _ = opened(path, None)
    assert library.pieces == [ENGINE[:4], ENGINE[4:8], ENGINE[8:]]


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize(("profile", "number", "rows"), [("live", 0, 2), ("evaluation", 1, 5)])
def test_an_engine_has_the_memory_of_the_profile_that_is_run(
    path, tmp_path, profile, number, rows, cached
):
    library, engine = opened(path, tmp_path / "a.cache" if cached else None, profile=profile)
    assert library.profile == number
    assert library.strategy == "the memory that a profile takes"
    run(engine, rows)
    with pytest.raises(EngineError, match=f"built for {profile} shapes"):
        run(engine, 7 - rows)


def test_an_engine_without_the_profile_is_refused(path):
    more = [*PROFILES, ShapeProfile("another", {})]
    with pytest.raises(EngineError, match="no profile another: build it again"):
        TensorRTEngine(Rtx(), path, more, "another", Place("cpu"))


def test_an_older_reader_gives_all_that_is_asked_for(path, monkeypatch):
    class Older:
        IStreamReader = NewerReader

    monkeypatch.setattr(tensorrt_engine, "PIECE", 4)
    with path.open("rb") as file:
        assert read_in_pieces(Older, file).read(9) == ENGINE[:9]
        assert read_in_pieces(object, file) is None


def test_the_installed_rtx_takes_such_a_reader(path):
    library = tensorrt_module("tensorrt_rtx")
    if library is None or find_gpu() is None:
        pytest.skip("needs the extra 'tensorrt-rtx', and a GPU's driver")
    with path.open("rb") as file:
        reader = read_in_pieces(library, file)
        assert isinstance(reader, library.IStreamReaderV2)
        assert reader.read(4, 0) == ENGINE[:4]
        assert reader.seek(8, library.SeekPosition.SET)
        assert reader.read(4, 0) == ENGINE[8:]


def test_kernels_are_compiled_once_for_all_starts(path, tmp_path):
    kernels = tmp_path / "cache" / "a.cache"
    library, engine = opened(path, kernels)
    run(engine, 2)
    run(engine, 2)
    assert library.compilations == 1
    library, engine = opened(path, kernels)
    run(engine, 2)
    assert library.compilations == 0
    run(engine, 3)
    library, engine = opened(path, kernels)
    run(engine, 2)
    run(engine, 3)
    assert library.compilations == 0


def test_kernels_of_another_driver_are_compiled_anew_and_kept(path, tmp_path):
    kernels = tmp_path / "a.cache"
    run(opened(path, kernels)[1], 2)
    for expected in (1, 0):
        library, engine = opened(path, kernels, b"590")
        run(engine, 2)
        assert library.compilations == expected


def test_a_cache_that_can_not_be_written_is_no_error(path, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    library, engine = opened(path, tmp_path / "file" / "a.cache")
    run(engine, 2)
    assert library.compilations == 1

"""Running a built engine in TensorRT or TensorRT-RTX: device pointers in, device pointers out.

Device memory is ONNX Runtime's, so that a result can go straight into the decoder.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike

from runtime.bundle.verification import cache_folder
from runtime.engines.engine import Tensors, onnxruntime_module
from runtime.engines.shape_profiles import Shape, ShapeProfile
from runtime.engines.store import Flavour
from runtime.engines.tensors import CUDA, DeviceTensor, Place
from runtime.errors import EngineError

FLAVOURS: tuple[Flavour, ...] = ("tensorrt", "tensorrt_rtx")
DEFAULT_STREAM = 0  # of CUDA, on which a graph is run
PIECE = 64 << 20  # bytes of an engine that are on the host at a time


def kernels_path(engine: Path) -> Path | None:
    """Where the kernels compiled for a built engine are kept; None where there is no cache."""
    folder = cache_folder()
    return None if folder is None else folder.with_name("kernels") / f"{engine.stem}.cache"


def tensorrt_module(flavour: Flavour) -> ModuleType | None:
    """The installed TensorRT of a flavour; None where it is absent or only a stub."""
    try:
        module = import_module(flavour)
    except (ImportError, OSError):
        return None
    return module if hasattr(module, "Builder") else None


def read_in_pieces(library: ModuleType, file: BinaryIO) -> Any | None:  # noqa: ANN401 - its reader
    """What TensorRT reads an engine through, so that the host never holds it beside the device.

    None for a TensorRT that has no such reader (TensorRT 10.3 has one that can't seek).
    """
    newer = getattr(library, "IStreamReaderV2", None)
    base = newer or getattr(library, "IStreamReader", None)
    if base is None:
        return None
    most = PIECE if newer else None  # the older one has to give all that is asked for

    class Reader(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            base.__init__(self)

        def read(self, size: int, stream: int = 0) -> bytes:
            return file.read(size if most is None else min(size, most))

        def seek(self, offset: int, where: Any) -> bool:  # noqa: ANN401 - a SeekPosition
            file.seek(offset, int(where))
            return True

    return Reader()


class KernelCache:
    """The kernels that TensorRT-RTX compiled for this GPU, kept in the user's cache.

    Without it they are compiled at every start. What was kept by another driver or for another GPU
    TensorRT-RTX refuses by itself. A cache that can't be read or written costs time and nothing
    else, so that is no error.
    """

    def __init__(self, path: Path, cache: Any) -> None:  # noqa: ANN401 - an IRuntimeCache
        self._path = path
        self._cache = cache
        self._kept = b""
        with suppress(OSError):
            kept = path.read_bytes()
            if kept and cache.deserialize(kept):
                self._kept = kept

    def save(self) -> None:
        """Write what was compiled since it was read."""
        found = bytes(self._cache.serialize())
        if found == self._kept:
            return
        self._kept = found
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial = self._path.with_suffix(".partial")
            partial.write_bytes(found)
            partial.replace(self._path)


class TensorRTEngine:
    """A built engine, run with one of its shape profiles."""

    def __init__(
        self,
        library: ModuleType,
        path: Path,
        profiles: Sequence[ShapeProfile],
        profile: str = "live",
        place: Place = CUDA,
        kernels: Path | None = None,
    ) -> None:
        """Load the engine at `path`.

        `profiles`: all that it was built for, in its order; `profile`: the name of the one that is
        run. `kernels`: where TensorRT-RTX keeps what it compiles.
        Raises EngineError if TensorRT refuses it.
        """
        self._onnxruntime = onnxruntime_module()
        self._library = library
        names = [each.name for each in profiles]
        self._number = names.index(profile)
        self._profile = profiles[self._number]
        self._place = place
        self._logger = library.Logger(library.Logger.ERROR)
        self._runtime = library.Runtime(self._logger)
        with path.open("rb") as file:
            reader = read_in_pieces(library, file)
            whole = file.read() if reader is None else reader
            self._engine = self._runtime.deserialize_cuda_engine(whole)
        if self._engine is None:
            raise EngineError(f"{path}: {library.__name__} {library.__version__} refuses it")
        self._kernels: KernelCache | None = None
        self._context = self._new_context(kernels)
        if not self._context.set_optimization_profile_async(self._number, DEFAULT_STREAM):
            raise EngineError(f"{path}: it has no profile {profile}: build it again")
        self._seen: set[tuple[tuple[str, Shape], ...]] = set()
        self._names = [
            self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)
        ]
        self.name = f"{library.__name__} {library.__version__}"

    def run(
        self,
        inputs: Tensors,
        into: Mapping[str, DeviceTensor] | None = None,
        keep: Collection[str] = (),
    ) -> dict[str, Any]:
        """Run once; see `Engine.run`. Raises EngineError for other shapes."""
        shapes = {name: tuple(value.shape) for name, value in inputs.items()}
        if not self._profile.holds(shapes):
            raise EngineError(
                f"the engine was built for {self._profile.name} shapes, these are {shapes}: "
                "run with --engine cuda"
            )
        tensors = {name: self._uploaded(value) for name, value in inputs.items()}
        for name, shape in shapes.items():
            self._context.set_input_shape(name, shape)
        outputs = dict(into or {})
        for name in self._names:
            if name not in tensors and name not in outputs:
                outputs[name] = self._output(name)
        tensors |= outputs
        if not self._context.execute_v2([tensors[name].pointer for name in self._names]):
            raise EngineError(f"{self.name} failed to run a graph: run with --engine cuda")
        self._keep_kernels(shapes)
        stay = set(keep) if self._place.resident else set()
        return {
            name: value if name in stay else value.numpy()
            for name, value in outputs.items()
            if name not in (into or {})
        }

    def buffer(self, shape: Shape, dtype: DTypeLike) -> DeviceTensor:
        """Allocate a zeroed buffer; see `runtime.engines.engine.Engine.buffer`."""
        return DeviceTensor.zeros(self._onnxruntime, shape, dtype, self._place)

    def _new_context(self, kernels: Path | None) -> Any:  # noqa: ANN401
        """With the memory that its profile takes, not what the largest of all does."""
        sized = self._library.ExecutionContextAllocationStrategy.ON_PROFILE_CHANGE
        if kernels is None or not hasattr(self._engine, "create_runtime_config"):
            return self._engine.create_execution_context(sized)
        settings = self._engine.create_runtime_config()
        settings.set_execution_context_allocation_strategy(sized)
        if hasattr(settings, "create_runtime_cache"):  # TensorRT-RTX alone compiles when it runs
            cache = settings.create_runtime_cache()
            self._kernels = KernelCache(kernels, cache)
            settings.set_runtime_cache(cache)
        return self._engine.create_execution_context(settings)

    def _keep_kernels(self, shapes: Mapping[str, Shape]) -> None:
        """Once for all inputs of the same shapes: it is for shapes that kernels are compiled."""
        seen = tuple(sorted(shapes.items()))
        if self._kernels is not None and seen not in self._seen:
            self._seen.add(seen)
            self._kernels.save()

    def _uploaded(self, value: Any) -> DeviceTensor:  # noqa: ANN401 - an array or a tensor
        if isinstance(value, DeviceTensor):
            return value
        return DeviceTensor.upload(self._onnxruntime, np.asarray(value), self._place)

    def _output(self, name: str) -> DeviceTensor:
        shape = tuple(self._context.get_tensor_shape(name))
        dtype = self._library.nptype(self._engine.get_tensor_dtype(name))
        return DeviceTensor.empty(self._onnxruntime, shape, dtype, self._place)

"""Running a built engine in TensorRT or TensorRT-RTX: device pointers in, device pointers out.

Device memory is ONNX Runtime's, so that a result can go straight into the decoder.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from runtime.engines.engine import Tensors, onnxruntime_module
from runtime.engines.shape_profiles import Shape, ShapeProfile
from runtime.engines.store import Flavour
from runtime.engines.tensors import CUDA, DeviceTensor, Place
from runtime.errors import EngineError

FLAVOURS: tuple[Flavour, ...] = ("tensorrt", "tensorrt_rtx")


def tensorrt_module(flavour: Flavour) -> ModuleType | None:
    """The installed TensorRT of a flavour; None where it is absent or only a stub."""
    try:
        module = import_module(flavour)
    except (ImportError, OSError):
        return None
    return module if hasattr(module, "Builder") else None


class TensorRTEngine:
    """A built engine with one shape profile."""

    def __init__(
        self, library: ModuleType, path: Path, profile: ShapeProfile, place: Place = CUDA
    ) -> None:
        """Load the engine at `path`. Raises EngineError if TensorRT refuses it."""
        self._onnxruntime = onnxruntime_module()
        self._library = library
        self._profile = profile
        self._place = place
        self._logger = library.Logger(library.Logger.ERROR)
        self._runtime = library.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(path.read_bytes())
        if self._engine is None:
            raise EngineError(f"{path}: {library.__name__} {library.__version__} refuses it")
        self._context = self._engine.create_execution_context()
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
        stay = set(keep) if self._place.resident else set()
        return {
            name: value if name in stay else value.numpy()
            for name, value in outputs.items()
            if name not in (into or {})
        }

    def buffer(self, shape: Shape, dtype: DTypeLike) -> DeviceTensor:
        """Allocate a zeroed buffer; see `runtime.engines.engine.Engine.buffer`."""
        return DeviceTensor.zeros(self._onnxruntime, shape, dtype, self._place)

    def _uploaded(self, value: Any) -> DeviceTensor:  # noqa: ANN401 - an array or a tensor
        if isinstance(value, DeviceTensor):
            return value
        return DeviceTensor.upload(self._onnxruntime, np.asarray(value), self._place)

    def _output(self, name: str) -> DeviceTensor:
        shape = tuple(self._context.get_tensor_shape(name))
        dtype = self._library.nptype(self._engine.get_tensor_dtype(name))
        return DeviceTensor.empty(self._onnxruntime, shape, dtype, self._place)

"""Running a graph: one small protocol, implemented here on ONNX Runtime.

Arrays go in and out by name. What must stay on the device between runs (keys and values) lives in
buffers that the engine allocates and that are passed by name like any array.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from runtime.errors import EngineError

Arrays = Mapping[str, "NDArray[Any] | Buffer"]


class Buffer(Protocol):
    """Memory on the engine's device, shaped and typed, that outlives a run."""

    def numpy(self) -> NDArray[Any]:
        """A copy on the host."""
        ...


class Engine(Protocol):
    """One loaded graph."""

    name: str

    def run(self, inputs: Arrays, into: Mapping[str, Buffer] | None = None) -> dict[str, Any]:
        """Run once. Outputs named in `into` are written to those buffers, which may be inputs
        too; all others are returned as arrays on the host."""
        ...

    def buffer(self, shape: tuple[int, ...], dtype: DTypeLike) -> Buffer:
        """Allocate a zeroed buffer on the engine's device."""
        ...


class OnnxEngine:
    """A graph in ONNX Runtime, on the CPU."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        """Load the graph at `path`; `threads` per operator, 0 for all cores.

        Raises EngineError if ONNX Runtime is missing or refuses the graph.
        """
        self._onnxruntime = onnxruntime_module()
        options = self._onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = self._onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise EngineError(f"ONNX Runtime can't load {path.name}: {reason}") from error
        self.name = f"onnxruntime {self._onnxruntime.__version__} cpu"
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, inputs: Arrays, into: Mapping[str, Buffer] | None = None) -> dict[str, Any]:
        """Run once; see `Engine.run`."""
        binding = self._session.io_binding()
        for name, value in inputs.items():
            if isinstance(value, np.ndarray):
                binding.bind_cpu_input(name, np.ascontiguousarray(value))
            else:
                binding.bind_ortvalue_input(name, value)
        kept = into or {}
        for name in self._outputs:
            if name in kept:
                binding.bind_ortvalue_output(name, kept[name])
            else:
                binding.bind_output(name, "cpu")
        self._session.run_with_iobinding(binding)
        results = binding.get_outputs()
        return {
            name: result.numpy()
            for name, result in zip(self._outputs, results, strict=True)
            if name not in kept
        }

    def buffer(self, shape: tuple[int, ...], dtype: DTypeLike) -> Buffer:
        """Allocate a zeroed buffer; see `Engine.buffer`."""
        return self._onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(shape, dtype), "cpu")


def onnxruntime_module() -> ModuleType:
    """ONNX Runtime, of which exactly one distribution may be installed."""
    found = [name for name in ("onnxruntime", "onnxruntime-gpu") if _installed(name)]
    if len(found) != 1:
        state = (
            "is not installed" if not found else "is installed twice (" + " and ".join(found) + ")"
        )
        raise EngineError(
            f"ONNX Runtime {state}: pip uninstall both, then install the extra 'cpu' or 'gpu'"
        )
    import onnxruntime

    return onnxruntime


def _installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True

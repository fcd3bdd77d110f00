"""Running a graph: one small protocol, implemented here on ONNX Runtime.

Tensors go in and out by name. What must stay on the device between runs (keys and values) lives in
buffers that the engine allocates; what one graph hands to the next (embeddings, residuals) may stay
there too. Only `runtime.engines.tensors` knows where a tensor lives.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike

from devices.printable import printable
from runtime.engines.identity import has_dot_products
from runtime.engines.tensors import HOST, DeviceTensor, Place, Tensor
from runtime.errors import EngineError

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "webgpu": "WebGpuExecutionProvider",
}
DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-webgpu")  # of one module
Tensors = Mapping[str, Tensor]
LONGEST_REASON = 300  # characters of what ONNX Runtime says


class Engine(Protocol):
    """One loaded graph."""

    name: str

    def run(
        self,
        inputs: Tensors,
        into: Mapping[str, DeviceTensor] | None = None,
        keep: Collection[str] = (),
    ) -> dict[str, Any]:
        """Run once.

        Outputs named in `into` are written to those buffers, which may be inputs too. Those named
        in `keep` stay on the device if the engine computes on one; all others are host arrays.
        """
        ...

    def buffer(self, shape: tuple[int, ...], dtype: DTypeLike) -> DeviceTensor:
        """Allocate a zeroed buffer on the engine's device."""
        ...


class OnnxEngine:
    """A graph in ONNX Runtime on the CPU, or in a session on another device."""

    def __init__(
        self,
        path: Path,
        threads: int = 0,
        place: Place = HOST,
        packed: bool = True,
        session: Any = None,  # noqa: ANN401 - an InferenceSession
    ) -> None:
        """Load the graph at `path`; `threads` per operator, 0 for all cores.

        `packed`: weights are laid out anew for speed, beside those in the file. `session`: one of
        this graph that is open already.
        Raises EngineError if ONNX Runtime is missing, can't use the device or refuses the graph.
        """
        self._onnxruntime = onnxruntime_module()
        self._place = place
        self._session = session or self._open(path, threads, packed)
        self.name = f"onnxruntime {self._onnxruntime.__version__} {place.kind}"
        self._outputs = [output.name for output in self._session.get_outputs()]

    def _open(self, path: Path, threads: int, packed: bool) -> Any:  # noqa: ANN401
        options = self._onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Every graph has threads of its own: those that spin take the cores from the next graph.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        # Without it, x86-64 without dot products adds products of 8 bits in pairs of 16, which
        # overflow; with it, one that has them multiplies several times slower.
        if not has_dot_products():
            options.add_session_config_entry("session.x64quantprecision", "1")
        if not packed:
            options.add_session_config_entry("session.disable_prepacking", "1")
        try:
            return self._onnxruntime.InferenceSession(
                str(path), options, providers=[PROVIDERS["cpu"]]
            )
        except Exception as error:
            reason = printable(str(error).partition("\n")[0], LONGEST_REASON)
            raise EngineError(f"ONNX Runtime can't load {path.name}: {reason}") from error

    def run(
        self,
        inputs: Tensors,
        into: Mapping[str, DeviceTensor] | None = None,
        keep: Collection[str] = (),
    ) -> dict[str, Any]:
        """Run once; see `Engine.run`."""
        binding = self._session.io_binding()
        for name, value in inputs.items():
            if isinstance(value, DeviceTensor):
                self._bind_input(binding, name, value)
            else:
                binding.bind_cpu_input(name, np.ascontiguousarray(value))
        written = into or {}
        stay = set(keep) if self._place.resident else set()
        for name in self._outputs:
            if name in written:
                self._bind_output(binding, name, written[name])
            elif name in stay:
                binding.bind_output(name, self._place.kind, self._place.index)
            else:
                binding.bind_output(name, "cpu")
        self._session.run_with_iobinding(binding)
        return {
            name: DeviceTensor.of(result, self._place) if name in stay else result.numpy()
            for name, result in zip(self._outputs, binding.get_outputs(), strict=True)
            if name not in written
        }

    def buffer(self, shape: tuple[int, ...], dtype: DTypeLike) -> DeviceTensor:
        """Allocate a zeroed buffer; see `Engine.buffer`."""
        return DeviceTensor.zeros(self._onnxruntime, shape, dtype, self._place)

    def _bind_input(self, binding: Any, name: str, tensor: DeviceTensor) -> None:  # noqa: ANN401
        _bind(binding.bind_input, name, tensor)

    def _bind_output(self, binding: Any, name: str, tensor: DeviceTensor) -> None:  # noqa: ANN401
        _bind(binding.bind_output, name, tensor)


def _bind(bind: Callable[..., None], name: str, tensor: DeviceTensor) -> None:
    """By its address: a tensor may be seen under another shape than it was made with."""
    place = tensor.place
    bind(name, place.kind, place.index, tensor.dtype.type, tensor.shape, tensor.pointer)


def onnxruntime_module() -> ModuleType:
    """ONNX Runtime, of which exactly one distribution may be installed."""
    found = [name for name in DISTRIBUTIONS if _installed(name)]
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

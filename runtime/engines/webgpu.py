"""Sessions on WebGPU: any GPU with Vulkan, Metal or D3D12.

The provider is built into ONNX Runtime (`onnxruntime-webgpu`) or a plugin beside it
(`onnxruntime-ep-webgpu`). It has no integers but 32 bits wide and no bytes: arithmetic on sizes and
the first cast of a frame stay on the host, nothing else may.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from devices.printable import printable
from runtime.bundle.manifest import Manifest
from runtime.bundle.names import DECODER, GAZE, SCENE
from runtime.engines.device_engine import Accelerator, DeviceEngine, HostNode, first_line
from runtime.engines.engine import PROVIDERS
from runtime.engines.placing import GIVEN, RESULT, SHAPE, placing_graph
from runtime.engines.tensors import WEBGPU, DeviceTensor
from runtime.errors import EngineError

PROVIDER = PROVIDERS["webgpu"]
WHOLE = (SCENE, GAZE, DECODER)  # graphs of which no node may stay on the host
FLOATS = ("float", "float16", "double")
PLUGIN = "onnxruntime_ep_webgpu"
KNOWN = ("library_path", "version")  # of a plugin's metadata: said before, or of no use
LONGEST = 200  # characters of what a plugin says of its device


@dataclass(frozen=True, slots=True)
class WebGpu:
    """The provider that is there. `told`: its version and, of a plugin, its device.

    `devices`: of a plugin; empty where it is built in.
    """

    told: str
    devices: tuple[Any, ...] = field(default=(), compare=False)


def find_webgpu(
    onnxruntime: ModuleType, load: Callable[[str], ModuleType] = import_module
) -> WebGpu | None:
    """The plugin's device, else the built-in provider; None without either."""
    try:
        plugin = load(PLUGIN)
    except ImportError:
        built_in = PROVIDER in onnxruntime.get_available_providers()
        return WebGpu(f"built into onnxruntime {onnxruntime.__version__}") if built_in else None
    try:
        if not (devices := _devices(onnxruntime)):
            onnxruntime.register_execution_provider_library(PLUGIN, plugin.get_library_path())
            devices = _devices(onnxruntime)
    except Exception:  # whatever a library that does not fit raises
        return None
    if not devices:
        return None
    told = {f"plugin {_version()}": "", **devices[0].ep_metadata, **devices[0].device.metadata}
    line = ", ".join(f"{key} {value}".strip() for key, value in told.items() if key not in KNOWN)
    return WebGpu(printable(line, LONGEST), tuple(devices[:1]))


def _devices(onnxruntime: ModuleType) -> list[Any]:
    return [each for each in onnxruntime.get_ep_devices() if each.ep_name == PROVIDER]


def refuse_types(manifest: Manifest) -> None:
    """Raise EngineError for a bundle with types that WebGPU does not know."""
    if "bf16" in manifest.encoders.values():
        raise EngineError(
            "WebGPU has no kernel for this bundle's bfloat16 vision tower: export it with "
            "--target cpu --quant int4"
        )
    if "int8" in (manifest.quantization.kind, *manifest.encoders.values()):
        raise EngineError(
            "WebGPU has no kernel for this bundle's products of 8 bits: export it with "
            "--quant int4 and without --encoders int8"
        )


class WebGpuEngine(DeviceEngine):
    """A graph on the first GPU; what one graph hands to the next stays there."""

    def __init__(self, path: Path, graph: str, webgpu: WebGpu) -> None:
        """Load `graph` at `path`. Raises EngineError, one line that says what to do."""
        self._webgpu = webgpu
        self._placing: dict[str, Any] = {}
        super().__init__(path, graph, KIND, None if graph in WHOLE else computes_nothing)

    def _choose(self, options: Any) -> dict[str, Any]:  # noqa: ANN401 - SessionOptions
        if not self._webgpu.devices:
            return {"providers": [PROVIDER]}
        options.add_provider_for_devices(list(self._webgpu.devices), {})
        return {}

    def buffer(self, shape: tuple[int, ...], dtype: DTypeLike) -> DeviceTensor:
        """Allocate a zeroed buffer; see `Engine.buffer`.

        ONNX Runtime allocates on this device for the outputs of a graph only.
        """
        zeros: NDArray[Any] = np.zeros(shape, dtype)
        return self._placed(
            zeros.dtype, lambda binding: binding.bind_cpu_input(GIVEN, zeros), shape
        )

    def _placed(
        self, dtype: np.dtype[Any], give: Callable[[Any], None], shape: tuple[int, ...]
    ) -> DeviceTensor:
        """What `give` binds, on the device and under a shape."""
        if dtype.name not in self._placing:
            self._placing[dtype.name] = self._opened(placing_graph(dtype))
        session = self._placing[dtype.name]
        binding = session.io_binding()
        give(binding)
        binding.bind_cpu_input(SHAPE, np.array(shape, np.int64))
        binding.bind_output(RESULT, WEBGPU.kind, WEBGPU.index)
        session.run_with_iobinding(binding)
        return DeviceTensor.of(binding.get_outputs()[0], WEBGPU)

    def _bind_input(self, binding: Any, name: str, tensor: DeviceTensor) -> None:  # noqa: ANN401
        """As the value that it is: this provider takes no addresses."""
        if tensor.shape != tuple(tensor.value.shape()):
            given = tensor.value
            tensor = self._placed(
                tensor.dtype, lambda there: there.bind_ortvalue_input(GIVEN, given), tensor.shape
            )
        binding.bind_ortvalue_input(name, tensor.value)

    def _bind_output(self, binding: Any, name: str, tensor: DeviceTensor) -> None:  # noqa: ANN401
        binding.bind_ortvalue_output(name, tensor.value)


def computes_nothing(node: HostNode) -> bool:
    """Whether a node counts or casts only, which the host may do."""
    return node.operator == "Cast" or not node.kinds.intersection(FLOATS)


KIND = Accelerator("WebGPU", PROVIDER, WEBGPU, first_line, "", "run with --engine cpu")


def _version() -> str:
    try:
        return version(PLUGIN.replace("_", "-"))
    except PackageNotFoundError:
        return "of unknown version"

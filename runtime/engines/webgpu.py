"""Sessions on WebGPU: any GPU with Vulkan, Metal or D3D12.

The provider is built into ONNX Runtime (`onnxruntime-webgpu`) or a plugin beside it
(`onnxruntime-ep-webgpu`). It has no integers but 32 bits wide and no bytes: arithmetic on sizes and
the first cast of a frame stay on the host, nothing else may.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from devices.printable import printable
from runtime.bundle.manifest import DECODER, GAZE, SCENE, Manifest
from runtime.engines.engine import PROVIDERS, OnnxEngine, Tensors, onnxruntime_module
from runtime.engines.placing import GIVEN, RESULT, SHAPE, placing_graph
from runtime.engines.tensors import WEBGPU, DeviceTensor
from runtime.errors import EngineError

PROVIDER, HOST_PROVIDER = PROVIDERS["webgpu"], PROVIDERS["cpu"]
NO_FALLBACK = "session.disable_cpu_ep_fallback"
WHOLE = (SCENE, GAZE, DECODER)  # graphs of which no node may stay on the host
MOVERS = ("MemcpyFromHost", "MemcpyToHost")
FLOATS = ("float", "float16", "double")
PLUGIN = "onnxruntime_ep_webgpu"
LONGEST = 200  # characters of what ONNX Runtime says


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
    line = ", ".join(f"{key} {value}".strip() for key, value in told.items())
    return WebGpu(printable(line, LONGEST), tuple(devices[:1]))


def _devices(onnxruntime: ModuleType) -> list[Any]:
    return [each for each in onnxruntime.get_ep_devices() if each.ep_name == PROVIDER]


def refuse_types(manifest: Manifest) -> None:
    """Raise EngineError for a bundle with types that WebGPU does not know."""
    if "bf16" in manifest.encoders.values():
        raise EngineError(
            "WebGPU has no kernel for this bundle's bfloat16 vision tower: export it with "
            "--target cpu"
        )


class WebGpuEngine(OnnxEngine):
    """A graph on the first GPU; what one graph hands to the next stays there."""

    def __init__(self, path: Path, graph: str, webgpu: WebGpu) -> None:
        """Load `graph` at `path`. Raises EngineError, one line that says what to do."""
        self._graph = graph
        self._webgpu = webgpu
        self._module = onnxruntime_module()
        self._placing: dict[str, Any] = {}
        # Where a few nodes may stay on the host, the first run tells which did.
        self._profiles = None if graph in WHOLE else TemporaryDirectory()
        super().__init__(path, place=WEBGPU, session=self._open_there(str(path)))

    def run(
        self,
        inputs: Tensors,
        into: Mapping[str, DeviceTensor] | None = None,
        keep: Collection[str] = (),
    ) -> dict[str, Any]:
        """Run once; see `Engine.run`. Raises EngineError for what the GPU can't do."""
        try:
            results = super().run(inputs, into, keep)
        except Exception as error:
            raise EngineError(f"WebGPU can't run {self._graph}: {_reason(error)}") from error
        if self._profiles is not None:
            self._check_first(self._profiles)
        return results

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
            self._placing[dtype.name] = self._open_there(placing_graph(dtype))
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

    def _open_there(self, graph: str | bytes) -> Any:  # noqa: ANN401 - an InferenceSession
        options = self._module.SessionOptions()
        options.log_severity_level = 4
        if isinstance(graph, bytes) or self._profiles is None:
            options.add_session_config_entry(NO_FALLBACK, "1")
        else:
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(self._profiles.name) / "first")
        # The CPU's provider is not named beside it: with no fallback allowed that is a conflict.
        chosen: dict[str, Any] = {"providers": [PROVIDER]}
        if self._webgpu.devices:
            options.add_provider_for_devices(list(self._webgpu.devices), {})
            chosen = {}
        try:
            session = self._module.InferenceSession(graph, options, **chosen)
        except Exception as error:
            raise EngineError(f"WebGPU can't load {self._graph}: {_reason(error)}") from error
        if PROVIDER not in session.get_providers():
            raise EngineError(f"WebGPU can't load {self._graph}: ONNX Runtime took the CPU instead")
        return session

    def _check_first(self, profiles: TemporaryDirectory[str]) -> None:
        self._profiles = None
        with profiles:
            found = strays(Path(self._session.end_profiling()))
        if found:
            raise EngineError(
                f"{self._graph}: {len(found)} nodes ran on the CPU under the name of WebGPU, first "
                f"{printable(found[0], 120)}: run with --engine cpu"
            )


def strays(profile: Path) -> list[str]:
    """The nodes of a profile that the host computed and that are no arithmetic on sizes."""
    found: dict[str, None] = {}
    for event in json.loads(profile.read_text(encoding="utf-8")):
        facts = event.get("args", {})
        operator = facts.get("op_name")
        if event.get("cat") != "Node" or facts.get("provider") != HOST_PROVIDER:
            continue
        kinds = {kind for output in facts.get("output_type_shape", ()) for kind in output}
        if operator not in (*MOVERS, "Cast") and kinds.intersection(FLOATS):
            found[f"{operator} ({event.get('name', '').removesuffix('_kernel_time')})"] = None
    return list(found)


def _reason(error: BaseException) -> str:
    return printable(str(error).partition("\n")[0], LONGEST)


def _version() -> str:
    try:
        return version(PLUGIN.replace("_", "-"))
    except PackageNotFoundError:
        return "of unknown version"

"""Sessions on CUDA: their options, and what their failures mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from devices.printable import printable
from runtime.bundle import names
from runtime.bundle.manifest import Manifest
from runtime.bundle.names import DECODER
from runtime.bundle.opening import Bundle
from runtime.engines.device_engine import Accelerator, DeviceEngine, first_line
from runtime.engines.engine import PROVIDERS
from runtime.engines.tensors import CUDA
from runtime.errors import EngineError

PROVIDER = PROVIDERS["cuda"]
DEVICE_INITIALIZERS = "session.use_device_allocator_for_initializers"
FUSED_PRODUCTS = "ep.cuda.fpa_intb_gemm"

NO_LIBRARIES = "CUDA's or cuDNN's libraries are not found: pip install 'gazeqwen-edge[gpu]'"

# What ONNX Runtime and CUDA say, and what to do about it.
MEANINGS = (
    (
        re.compile("no kernel image is available|cudaErrorNoKernelImageForDevice"),
        "this onnxruntime-gpu holds no code for this GPU's compute capability: install a wheel "
        "built for it (docs/engines.md)",
    ),
    (
        re.compile("out of memory|Failed to allocate memory|CUBLAS_STATUS_ALLOC_FAILED"),
        "the GPU's memory does not suffice: close what else uses it, or export a smaller model",
    ),
    (
        re.compile(r"lib[\w.-]+\.so[\w.]*: cannot open|Failed to load library|LoadLibrary failed"),
        NO_LIBRARIES,
    ),
    (
        re.compile("driver version is insufficient|CUDA failure 35"),
        "the NVIDIA driver is older than this onnxruntime-gpu's CUDA: update the driver",
    ),
    (
        re.compile("disable_cpu_ep_fallback|fallback to CPU EP has been explicitly disabled"),
        "CUDA has no kernel for one of its nodes: export the bundle with --target cuda",
    ),
)


@dataclass(frozen=True, slots=True)
class CudaSettings:
    """`memory`: bytes that each graph's arena may take, None for no limit. `index`: which GPU."""

    memory: int | None = None
    index: int = 0

    def provider(self) -> tuple[str, dict[str, str]]:
        """The provider and its options: memory grows as asked, cuDNN does not try everything."""
        options = {
            "device_id": str(self.index),
            "arena_extend_strategy": "kSameAsRequested",
            "cudnn_conv_algo_search": "HEURISTIC",
        }
        if self.memory is not None:
            options["gpu_mem_limit"] = str(self.memory)
        return PROVIDER, options


UNLIMITED = CudaSettings()


@dataclass(frozen=True, slots=True)
class GraphRules:
    """How a graph of a bundle has to run: nodes that may stay on the host, session entries."""

    host_nodes: frozenset[str]
    entries: Mapping[str, str]

    @classmethod
    def of(cls, manifest: Manifest, graph: str) -> GraphRules:
        """As the bundle says. Raises EngineError for a bundle that was not made for CUDA."""
        refuse_other_target(manifest)
        entries = {DEVICE_INITIALIZERS: "1"}
        host = frozenset(manifest.host_nodes.get(graph, ()))
        if graph == DECODER and manifest.quantization.kind in ("int4", "int4-mixed"):
            entries[FUSED_PRODUCTS] = "1"
        return cls(host, entries)


def refuse_other_target(manifest: Manifest) -> None:
    """Raise EngineError for a bundle whose attention CUDA has no kernel for."""
    if manifest.target != "cuda":
        raise EngineError(
            f"{printable(manifest.name, 60)} was exported for CPUs, and CUDA has no kernel for its "
            "float32 attention: export it with --target cuda, or run with --engine cpu"
        )


class CudaEngine(DeviceEngine):
    """A graph on the first GPU, all of it but what the bundle lists."""

    def __init__(
        self,
        path: Path,
        rules: GraphRules,
        settings: CudaSettings = UNLIMITED,
        onnxruntime: ModuleType | None = None,
    ) -> None:
        """Load the graph at `path`. Raises EngineError, one line that says what to do."""
        self._rules = rules
        self._settings = settings
        listed = (lambda node: node.name in rules.host_nodes) if rules.host_nodes else None
        super().__init__(path, path.name, KIND, listed, onnxruntime)

    def _choose(self, options: Any) -> dict[str, Any]:  # noqa: ANN401 - SessionOptions
        load_libraries(self._module)
        if PROVIDER not in self._module.get_available_providers():
            raise EngineError("this ONNX Runtime has no CUDA: install the extra 'gpu'")
        for key, value in self._rules.entries.items():
            options.add_session_config_entry(key, value)
        return {"providers": [self._settings.provider()]}


def try_cuda(bundle: Bundle, settings: CudaSettings = UNLIMITED) -> None:
    """Open one small session as the bundle's would be. Raises EngineError with the reason."""
    graph = names.GAZE
    CudaEngine(bundle.graph_path(graph), GraphRules.of(bundle.manifest, graph), settings)


def load_libraries(onnxruntime: ModuleType) -> None:
    """Make CUDA's and cuDNN's libraries that pip installed known, before the first session."""
    preload = getattr(onnxruntime, "preload_dlls", None)
    if preload is not None:
        preload()


def meaning(error: BaseException) -> str:
    """What to do about what ONNX Runtime says, or what it says in one line."""
    said = str(error)
    for pattern, advice in MEANINGS:
        if pattern.search(said):
            return advice
    return first_line(error)


KIND = Accelerator(
    "CUDA", PROVIDER, CUDA, meaning, f": {NO_LIBRARIES}", "export the bundle with --target cuda"
)

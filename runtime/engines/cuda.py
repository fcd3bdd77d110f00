"""Sessions on CUDA: their options, what their failures mean, and that nothing runs elsewhere.

ONNX Runtime gives a node that CUDA can't run to the CPU and says nothing: keys and values would
travel in every run. Here that is an error that names the node.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from devices.printable import printable
from runtime.bundle import manifest as names
from runtime.bundle.manifest import DECODER, Manifest
from runtime.bundle.opening import Bundle
from runtime.engines.engine import OnnxEngine, Tensors, onnxruntime_module
from runtime.engines.tensors import CUDA, DeviceTensor
from runtime.errors import EngineError

PROVIDER = "CUDAExecutionProvider"
HOST_PROVIDER = "CPUExecutionProvider"
NO_FALLBACK = "session.disable_cpu_ep_fallback"
DEVICE_INITIALIZERS = "session.use_device_allocator_for_initializers"
FUSED_PRODUCTS = "ep.cuda.fpa_intb_gemm"
LONGEST_REASON = 200  # characters of what ONNX Runtime says
MOVERS = ("MemcpyFromHost", "MemcpyToHost")  # what ONNX Runtime puts between the two

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
        if not host:
            entries[NO_FALLBACK] = "1"
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


class CudaEngine(OnnxEngine):
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
        self._graph = path.name
        module = onnxruntime or onnxruntime_module()
        # Where a few nodes may stay on the host, ONNX Runtime can't refuse the others: the first
        # run tells where each was.
        self._profiles = None if NO_FALLBACK in rules.entries else TemporaryDirectory()
        super().__init__(path, place=CUDA, session=self._on_cuda(module, path, settings))

    def _on_cuda(self, module: ModuleType, path: Path, settings: CudaSettings) -> Any:  # noqa: ANN401
        load_libraries(module)
        if PROVIDER not in module.get_available_providers():
            raise EngineError("this ONNX Runtime has no CUDA: install the extra 'gpu'")
        options = module.SessionOptions()
        options.log_severity_level = 3
        for key, value in self._rules.entries.items():
            options.add_session_config_entry(key, value)
        if self._profiles is not None:
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(self._profiles.name) / "first")
        try:
            # The host is there unasked: to name it contradicts that no node may fall back to it.
            session = module.InferenceSession(str(path), options, providers=[settings.provider()])
        except Exception as error:
            raise EngineError(f"CUDA can't load {path.name}: {meaning(error)}") from error
        if PROVIDER not in session.get_providers():
            raise EngineError(
                f"CUDA can't load {path.name}: ONNX Runtime took the CPU instead: {NO_LIBRARIES}"
            )
        return session

    def run(
        self,
        inputs: Tensors,
        into: Mapping[str, DeviceTensor] | None = None,
        keep: Collection[str] = (),
    ) -> dict[str, Any]:
        """Run once; see `Engine.run`. Raises EngineError for what CUDA can't do."""
        try:
            results = super().run(inputs, into, keep)
        except Exception as error:
            raise EngineError(f"CUDA can't run {self._graph}: {meaning(error)}") from error
        if self._profiles is not None:
            self._check_first(self._profiles)
        return results

    def _check_first(self, profiles: TemporaryDirectory[str]) -> None:
        self._profiles = None
        with profiles:
            found = strays(Path(self._session.end_profiling()), self._rules.host_nodes)
        if found:
            raise EngineError(
                f"{self._graph}: {len(found)} nodes ran on the CPU under the name of CUDA, first "
                f"{printable(found[0], 120)}: export the bundle with --target cuda"
            )


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
    return printable(said.partition("\n")[0], LONGEST_REASON)


def strays(profile: Path, allowed: Collection[str]) -> list[str]:
    """The nodes that a profile of a run saw on the host and that are not `allowed`, as it names
    them with their operators."""
    found: dict[str, None] = {}
    for event in json.loads(profile.read_text(encoding="utf-8")):
        facts = event.get("args", {})
        name = event.get("name", "").removesuffix("_kernel_time")
        if (
            event.get("cat") == "Node"
            and facts.get("provider") == HOST_PROVIDER
            and facts.get("op_name") not in MOVERS
            and name not in allowed
        ):
            found[f"{facts.get('op_name')} ({name})"] = None
    return list(found)

"""Which engine runs a bundle here: TensorRT, CUDA, WebGPU or CPU, by what is there, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from runtime.bundle.names import GAZE, SCENE, VISION, VJEPA
from runtime.bundle.opening import Bundle
from runtime.engines.cuda import (
    UNLIMITED,
    CudaEngine,
    CudaSettings,
    GraphRules,
    refuse_other_target,
    try_cuda,
)
from runtime.engines.engine import PROVIDERS, Engine, OnnxEngine, onnxruntime_module
from runtime.engines.gpu import Gpu, find_gpu
from runtime.engines.identity import nvidia_driver, processor
from runtime.engines.shape_profiles import shape_profiles
from runtime.engines.store import EngineStore, Target
from runtime.engines.tensorrt_engine import (
    FLAVOURS,
    TensorRTEngine,
    kernels_path,
    tensorrt_module,
)
from runtime.engines.webgpu import WebGpu, WebGpuEngine, find_webgpu, refuse_types
from runtime.errors import EngineError

EngineKind = Literal["tensorrt", "cuda", "webgpu", "cpu"]
Asked = Literal["auto", "tensorrt", "cuda", "webgpu", "cpu"]
ENGINES: tuple[Asked, ...] = ("auto", "tensorrt", "cuda", "webgpu", "cpu")
NONE_REFUSED: Mapping[EngineKind, str] = MappingProxyType({})
IN_TENSORRT = (VJEPA, SCENE, GAZE, VISION)


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to run on. `tensorrt`: installed flavours and their versions.

    `trial`: raises EngineError with the reason if a bundle's session can't be opened on CUDA.
    """

    gpu: Gpu | None
    providers: tuple[str, ...]
    tensorrt: dict[str, str]
    trial: Callable[[Bundle, CudaSettings], None] = field(default=try_cuda, compare=False)
    webgpu: WebGpu | None = None

    @classmethod
    def here(cls) -> Machine:
        """This one. Raises EngineError if ONNX Runtime is missing."""
        modules = {flavour: tensorrt_module(flavour) for flavour in FLAVOURS}
        onnxruntime = onnxruntime_module()
        return cls(
            find_gpu(),
            tuple(onnxruntime.get_available_providers()),
            {name: module.__version__ for name, module in modules.items() if module},
            webgpu=find_webgpu(onnxruntime),
        )

    @property
    def cuda_missing(self) -> str | None:
        """Why CUDA can't be used; None if it can."""
        if self.gpu is None:
            return "no NVIDIA GPU found"
        if PROVIDERS["cuda"] not in self.providers:
            return "this ONNX Runtime has no CUDA (extra 'gpu')"
        return None


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """An engine kind, the reason in a line, and how to load a graph. `built`: TensorRT engines by
    graph, which are run with the shapes of `profile`."""

    kind: EngineKind
    reason: str
    bundle: Bundle
    flavour: str = ""
    profile: str = "live"
    built: tuple[tuple[str, Path], ...] = ()
    threads: int = 0
    cuda: CudaSettings = UNLIMITED
    gpu: Gpu | None = None
    webgpu: WebGpu | None = None

    def load(self, path: Path) -> Engine:
        """Load the graph at `path` of the bundle."""
        for graph, engine in self.built:
            if self.bundle.graph_path(graph) == path:
                library, kernels = tensorrt_module(self.flavour), kernels_path(engine)
                profiles = shape_profiles(self.bundle.manifest, graph)
                return TensorRTEngine(library, engine, profiles, self.profile, kernels=kernels)
        if self.kind == "cpu":
            return OnnxEngine(path, self.threads)
        manifest = self.bundle.manifest
        graph = next(name for name, spec in manifest.graphs.items() if spec.file == path.name)
        if self.webgpu is not None:
            return WebGpuEngine(path, graph, self.webgpu)
        return CudaEngine(path, GraphRules.of(manifest, graph), self.cuda)

    @property
    def device(self) -> tuple[str, ...]:
        """What decides how it computes: device, driver, software, shapes that it was built for."""
        software = f"onnxruntime {onnxruntime_module().__version__}"
        if self.webgpu is not None:
            return software, self.webgpu.told, processor(), nvidia_driver()
        if self.gpu is None:
            return software, processor()
        built = [f"{path.stem}, {self.profile}" for _, path in self.built]
        told = self.gpu.name, self.gpu.capability, nvidia_driver(), self.flavour
        return software, *told, *built

    @property
    def line(self) -> str:
        """For people: which, and why."""
        return f"{self.kind}: {self.reason}"


def choose_engine(
    asked: Asked,
    bundle: Bundle,
    machine: Machine,
    profile: str = "live",
    threads: int = 0,
    cuda: CudaSettings = UNLIMITED,
    refused: Mapping[EngineKind, str] = NONE_REFUSED,
) -> EngineChoice:
    """Choose by what is there, or check what was asked for.

    `profile`: of the shapes that will be run. `refused`: engines that failed before, and why; they
    are passed over. Raises EngineError if `asked` can't be had.
    """
    if asked == "cpu":
        return _on_cpu("asked for", bundle, threads)
    if asked == "webgpu":
        return _on_webgpu("asked for", bundle, machine)
    missing = machine.cuda_missing
    if missing and asked != "auto":
        raise EngineError(f"--engine {asked}: {missing}: run with --engine cpu")
    missing = missing or refused.get("cuda")
    if not missing:
        try:
            refuse_other_target(bundle.manifest)
            machine.trial(bundle, cuda)
        except EngineError as error:
            if asked != "auto":
                raise
            missing = str(error)
    if missing:
        return _without_cuda(missing, bundle, machine, threads, refused)
    told = f"{machine.gpu.name}, compute capability {machine.gpu.capability}"
    on_cuda = EngineChoice(
        "cuda", f"asked for; {told}", bundle, threads=threads, cuda=cuda, gpu=machine.gpu
    )
    if asked == "cuda":
        return on_cuda
    try:
        if "tensorrt" in refused:
            raise EngineError(refused["tensorrt"])
        flavour, built = _built_engines(bundle, machine)
    except EngineError as error:
        if asked == "tensorrt":
            raise
        return replace(on_cuda, reason=f"{told}; {error}")
    reason = f"{flavour} {machine.tensorrt[flavour]} on {told}; decoder in CUDA"
    return replace(
        on_cuda, kind="tensorrt", reason=reason, flavour=flavour, profile=profile, built=built
    )


def _without_cuda(
    reason: str,
    bundle: Bundle,
    machine: Machine,
    threads: int,
    refused: Mapping[EngineKind, str],
) -> EngineChoice:
    """WebGPU where it is installed and was not refused, else the CPU."""
    if machine.webgpu is None:
        return _on_cpu(reason, bundle, threads)
    try:
        if "webgpu" in refused:
            raise EngineError(refused["webgpu"])
        return _on_webgpu(reason, bundle, machine)
    except EngineError as error:
        return _on_cpu(f"{reason}; {error}", bundle, threads)


def _on_webgpu(reason: str, bundle: Bundle, machine: Machine) -> EngineChoice:
    if machine.webgpu is None:
        raise EngineError(
            "--engine webgpu: no WebGPU provider here finds a device (extra 'webgpu'): run with "
            "--engine cpu"
        )
    refuse_types(bundle.manifest)
    reason = f"{reason}; {machine.webgpu.told}"
    return EngineChoice("webgpu", reason, bundle, webgpu=machine.webgpu)


def _on_cpu(reason: str, bundle: Bundle, threads: int) -> EngineChoice:
    """The CPU, unless the bundle holds what a CPU has no kernels for."""
    if "bf16" in bundle.manifest.encoders.values():
        raise EngineError(
            f"no engine for this bundle ({reason}): it was exported for CUDA, and a CPU has no "
            "kernel for its bfloat16 vision tower: export it with --target cpu"
        )
    return EngineChoice("cpu", reason, bundle, threads=threads)


def _built_engines(bundle: Bundle, machine: Machine) -> tuple[str, tuple[tuple[str, Path], ...]]:
    """The first flavour whose engines are all there; EngineError of the first that fails."""
    if not machine.tensorrt:
        raise EngineError("TensorRT is not installed (extra 'tensorrt' or 'tensorrt-rtx')")
    store = EngineStore(bundle.folder, bundle.manifest)
    failures = []
    for flavour, version in machine.tensorrt.items():
        target = Target(flavour, version, machine.gpu.name, machine.gpu.capability)
        try:
            found = tuple((graph, store.find(graph, target)) for graph in IN_TENSORRT)
        except EngineError as error:
            failures.append(error)
        else:
            return flavour, found
    raise failures[0]

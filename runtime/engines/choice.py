"""Which engine runs a bundle here: TensorRT, CUDA or CPU, by what is there, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from runtime.bundle.manifest import GAZE, SCENE, VISION, VJEPA
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
from runtime.engines.shape_profiles import shape_profiles
from runtime.engines.store import EngineStore, Target
from runtime.engines.tensorrt_engine import FLAVOURS, TensorRTEngine, tensorrt_module
from runtime.errors import EngineError

EngineKind = Literal["tensorrt", "cuda", "cpu"]
Asked = Literal["auto", "tensorrt", "cuda", "cpu"]
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

    @classmethod
    def here(cls) -> Machine:
        """This one. Raises EngineError if ONNX Runtime is missing."""
        modules = {flavour: tensorrt_module(flavour) for flavour in FLAVOURS}
        return cls(
            find_gpu(),
            tuple(onnxruntime_module().get_available_providers()),
            {name: module.__version__ for name, module in modules.items() if module},
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
    graph, of the shape profile `profile`."""

    kind: EngineKind
    reason: str
    bundle: Bundle
    flavour: str = ""
    profile: str = "live"
    built: tuple[tuple[str, Path], ...] = ()
    threads: int = 0
    cuda: CudaSettings = UNLIMITED

    def load(self, path: Path) -> Engine:
        """Load the graph at `path` of the bundle."""
        for graph, engine in self.built:
            if self.bundle.graph_path(graph) == path:
                profiles = {p.name: p for p in shape_profiles(self.bundle.manifest, graph)}
                library = tensorrt_module(self.flavour)
                return TensorRTEngine(library, engine, profiles[self.profile])
        if self.kind == "cpu":
            return OnnxEngine(path, self.threads)
        manifest = self.bundle.manifest
        graph = next(name for name, spec in manifest.graphs.items() if spec.file == path.name)
        return CudaEngine(path, GraphRules.of(manifest, graph), self.cuda)

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
) -> EngineChoice:
    """Choose by what is there, or check what was asked for.

    `profile`: of the shapes that will be run. Raises EngineError if `asked` can't be had.
    """
    if asked == "cpu":
        return _on_cpu("asked for", bundle, threads)
    missing = machine.cuda_missing
    if missing and asked != "auto":
        raise EngineError(f"--engine {asked}: {missing}: run with --engine cpu")
    if not missing:
        try:
            refuse_other_target(bundle.manifest)
            machine.trial(bundle, cuda)
        except EngineError as error:
            if asked != "auto":
                raise
            missing = str(error)
    if missing:
        return _on_cpu(missing, bundle, threads)
    gpu = f"{machine.gpu.name}, compute capability {machine.gpu.capability}"
    if asked == "cuda":
        return EngineChoice("cuda", f"asked for; {gpu}", bundle, threads=threads, cuda=cuda)
    try:
        flavour, built = _built_engines(bundle, machine, profile)
    except EngineError as error:
        if asked == "tensorrt":
            raise
        return EngineChoice("cuda", f"{gpu}; {error}", bundle, threads=threads, cuda=cuda)
    reason = f"{flavour} {machine.tensorrt[flavour]} on {gpu}; decoder in CUDA"
    return EngineChoice("tensorrt", reason, bundle, flavour, profile, built, threads, cuda)


def _on_cpu(reason: str, bundle: Bundle, threads: int) -> EngineChoice:
    """The CPU, unless the bundle holds what a CPU has no kernels for."""
    if "bf16" in bundle.manifest.encoders.values():
        raise EngineError(
            f"no engine for this bundle ({reason}): it was exported for CUDA, and a CPU has no "
            "kernel for its bfloat16 vision tower: export it with --target cpu"
        )
    return EngineChoice("cpu", reason, bundle, threads=threads)


def _built_engines(
    bundle: Bundle, machine: Machine, profile: str
) -> tuple[str, tuple[tuple[str, Path], ...]]:
    """The first flavour whose engines are all there; EngineError of the first that fails."""
    if not machine.tensorrt:
        raise EngineError("TensorRT is not installed (extra 'tensorrt' or 'tensorrt-rtx')")
    store = EngineStore(bundle.folder, bundle.manifest)
    failures = []
    for flavour, version in machine.tensorrt.items():
        target = Target(flavour, version, machine.gpu.name, machine.gpu.capability)
        try:
            found = tuple((graph, store.find(graph, profile, target)) for graph in IN_TENSORRT)
        except EngineError as error:
            failures.append(error)
        else:
            return flavour, found
    raise failures[0]

"""A graph in a session on a GPU, none of whose nodes runs elsewhere unless it may.

ONNX Runtime gives a node that a GPU can't run to the CPU and says nothing: keys and values would
travel in every run. Here that is an error that names the node. Where no node may, ONNX Runtime is
told to refuse; where a few may, it can't tell them from others, and the first run says where each
was.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from devices.printable import printable
from runtime.engines.engine import (
    LONGEST_REASON,
    PROVIDERS,
    OnnxEngine,
    Tensors,
    onnxruntime_module,
)
from runtime.engines.tensors import DeviceTensor, Place
from runtime.errors import EngineError

NO_FALLBACK = "session.disable_cpu_ep_fallback"
MOVERS = ("MemcpyFromHost", "MemcpyToHost")  # what ONNX Runtime puts between the two


@dataclass(frozen=True, slots=True)
class HostNode:
    """A node that ran on the host. `kinds`: ONNX's names of the types of its outputs."""

    name: str
    operator: str
    kinds: frozenset[str]


@dataclass(frozen=True, slots=True)
class Accelerator:
    """`told`: its name for people. `meaning`: what to do about an error of ONNX Runtime, or what it
    says in one line. `absent`: why ONNX Runtime may have taken the CPU. `instead`: what to do where
    a node ran on the host."""

    told: str
    provider: str
    place: Place
    meaning: Callable[[BaseException], str]
    absent: str
    instead: str


class DeviceEngine(OnnxEngine, ABC):
    """A graph on the first GPU of a kind."""

    def __init__(
        self,
        path: Path,
        graph: str,
        kind: Accelerator,
        may_stay: Callable[[HostNode], bool] | None,
        onnxruntime: ModuleType | None = None,
    ) -> None:
        """Load `graph` at `path`. `may_stay`: whether a node may run on the host; None: none may.

        Raises EngineError, one line that says what to do.
        """
        self._graph = graph
        self._kind = kind
        self._may_stay = may_stay
        self._module = onnxruntime or onnxruntime_module()
        self._profiles = None if may_stay is None else TemporaryDirectory()
        session = self._opened(str(path), self._profiles)
        super().__init__(path, place=kind.place, session=session)

    @abstractmethod
    def _choose(self, options: Any) -> dict[str, Any]:  # noqa: ANN401 - SessionOptions
        """Bring the device into `options`, or into what an InferenceSession is given beside them.

        The host is never named: that would contradict that no node may fall back to it, and it is
        there unasked.
        """

    def _opened(self, graph: str | bytes, profiles: TemporaryDirectory[str] | None = None) -> Any:  # noqa: ANN401 - an InferenceSession
        """A session on the device; without `profiles` no node may run on the host."""
        options = self._module.SessionOptions()
        options.log_severity_level = 4
        chosen = self._choose(options)
        if profiles is None:
            options.add_session_config_entry(NO_FALLBACK, "1")
        else:
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(profiles.name) / "first")
        try:
            session = self._module.InferenceSession(graph, options, **chosen)
        except Exception as error:
            raise self._failed("load", error) from error
        if self._kind.provider not in session.get_providers():
            told = f"ONNX Runtime took the CPU instead{self._kind.absent}"
            raise EngineError(f"{self._kind.told} can't load {self._graph}: {told}")
        return session

    def run(
        self,
        inputs: Tensors,
        into: Mapping[str, DeviceTensor] | None = None,
        keep: Collection[str] = (),
    ) -> dict[str, Any]:
        """Run once; see `Engine.run`. Raises EngineError for what the device can't do."""
        try:
            results = super().run(inputs, into, keep)
        except Exception as error:
            raise self._failed("run", error) from error
        if self._profiles is not None:
            self._check_first(self._profiles)
        return results

    def _failed(self, what: str, error: BaseException) -> EngineError:
        kind = self._kind
        return EngineError(f"{kind.told} can't {what} {self._graph}: {kind.meaning(error)}")

    def _check_first(self, profiles: TemporaryDirectory[str]) -> None:
        assert self._may_stay is not None
        self._profiles = None
        with profiles:
            found = strays(Path(self._session.end_profiling()), self._may_stay)
        if found:
            raise EngineError(
                f"{self._graph}: {len(found)} nodes ran on the CPU under the name of "
                f"{self._kind.told}, first {printable(found[0], 120)}: {self._kind.instead}"
            )


def strays(profile: Path, may_stay: Callable[[HostNode], bool]) -> list[str]:
    """The nodes that a profile of a run saw on the host and that may not stay there, as it names
    them with their operators."""
    found: dict[str, None] = {}
    for event in json.loads(profile.read_text(encoding="utf-8")):
        facts = event.get("args", {})
        operator = facts.get("op_name")
        on_host = event.get("cat") == "Node" and facts.get("provider") == PROVIDERS["cpu"]
        if not on_host or operator in MOVERS:
            continue
        kinds = frozenset(kind for output in facts.get("output_type_shape", ()) for kind in output)
        node = HostNode(event.get("name", "").removesuffix("_kernel_time"), operator, kinds)
        if not may_stay(node):
            found[f"{operator} ({node.name})"] = None
    return list(found)


def first_line(error: BaseException) -> str:
    """What ONNX Runtime says, in one line."""
    return printable(str(error).partition("\n")[0], LONGEST_REASON)

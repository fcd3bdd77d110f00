"""Engines that are lost in mid-run: a device that is reset or unplugged, a driver that gives up.

Every graph goes on with the next engine that computes the bundle right. What lay on the lost device
is gone: it is no number any more, and whoever holds it drops it as such, so that contexts are
filled anew and the run goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from threading import RLock
from typing import Any

from numpy.typing import DTypeLike

from runtime.engines.choice import EngineChoice
from runtime.engines.engine import Engine, Tensors
from runtime.engines.tensors import DeviceTensor
from runtime.errors import EngineError, NotFiniteError

GONE = "what lay on the device that was lost is gone"


class Standby:
    """Loads graphs with `choice`, and with what `following` gives once that is lost.

    `following`: from the reason to the next engine; EngineError where none is left. `said`: hears
    one line at each loss, from the thread that met it.
    """

    def __init__(
        self,
        choice: EngineChoice,
        following: Callable[[EngineChoice, str], EngineChoice],
        said: Callable[[str], None],
    ) -> None:
        self.choice = choice
        self._following = following
        self._said = said
        self._lock = RLock()
        self._armed = False

    def arm(self) -> None:
        """The engine has proven itself: what fails from now on is lost."""
        self._armed = True

    def load(self, path: Path) -> Engine:
        """Load the graph at `path`; see `runtime.engines.choice.EngineChoice.load`."""
        return _Replaceable(path, self)

    def lose(self, lost: EngineChoice, reason: str) -> None:
        """Go on to the next engine, unless another graph did. Raises EngineError without one."""
        if not self._armed:
            raise EngineError(reason)
        with self._lock:
            if self.choice is lost:
                self.choice = self._following(lost, reason)
                self._said(f"engine   {lost.kind} was lost ({reason}): {self.choice.line}")


class _Replaceable:
    """One graph, on whichever engine its standby has come to."""

    def __init__(self, path: Path, standby: Standby) -> None:
        self._path = path
        self._standby = standby
        self._choice = standby.choice
        self._engine = self._choice.load(path)
        self.name = self._engine.name
        self._was_lost = False

    def run(
        self,
        inputs: Tensors,
        into: Mapping[str, DeviceTensor] | None = None,
        keep: Collection[str] = (),
    ) -> dict[str, Any]:
        """Run once; see `Engine.run`. Raises NotFiniteError for what was lost with a device."""
        engine = self._current()
        if self._was_lost and _is_foreign([*inputs.values(), *(into or {}).values()], engine):
            raise NotFiniteError(GONE)
        try:
            return engine.run(inputs, into, keep)
        except EngineError as error:
            self._standby.lose(self._choice, str(error))
            raise NotFiniteError(GONE) from error

    def buffer(self, shape: tuple[int, ...], dtype: DTypeLike) -> DeviceTensor:
        """Allocate a zeroed buffer; see `Engine.buffer`."""
        return self._current().buffer(shape, dtype)

    def _current(self) -> Engine:
        if self._choice is not self._standby.choice:
            self._choice = self._standby.choice
            self._engine = self._choice.load(self._path)
            self.name = self._engine.name
            self._was_lost = True
        return self._engine


def _is_foreign(tensors: Collection[Any], engine: Engine) -> bool:
    """Whether a tensor lies where `engine` allocates none."""
    there = engine.buffer((1,), "float32").place
    return any(isinstance(each, DeviceTensor) and each.place != there for each in tensors)

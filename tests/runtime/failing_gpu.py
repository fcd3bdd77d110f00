"""A GPU that is there, and computes wrong or fails, computed on the CPU."""

import numpy as np

from runtime.bundle import names
from runtime.engines import choice as engine_choice
from runtime.engines.engine import OnnxEngine
from runtime.errors import EngineError


class Failing:
    """An engine of the CPU under the name of another, whose outputs are spoilt."""

    def __init__(self, path, graph, webgpu, wrong=(), how=None):
        self._engine = OnnxEngine(path, threads=1)
        self.name = "a GPU of tests"
        self._how = how if graph in wrong else None
        self.buffer = self._engine.buffer

    def run(self, inputs, into=None, keep=()):
        outputs = self._engine.run(inputs, into, keep)
        if self._how is None:
            return outputs
        return {name: self._how(output) for name, output in outputs.items()}


def overflowing(values):
    """As products in float16 that are larger than it can hold."""
    with np.errstate(over="ignore"):
        return (values * 60000).astype(np.float16).astype(np.float32)


def narrow(values):
    """As where the device computes in 16 bits what should have 32."""
    return values.astype(np.float16).astype(np.float32) * np.float32(1.001)


def raising(values):
    raise EngineError("WebGPU can't run it: device lost")


def on_that_gpu(monkeypatch, wrong=(), how=None, loads=True):
    def load(path, graph, webgpu):
        if not loads:
            raise EngineError("WebGPU can't load it: no kernel")
        return Failing(path, graph, webgpu, wrong, how)

    monkeypatch.setattr(engine_choice, "WebGpuEngine", load)


class NarrowDecoder(Failing):
    """Its attention is right as long as there are no more than so many rows."""

    most = 0

    def __init__(self, path, graph, webgpu):
        super().__init__(path, graph, webgpu, ("decoder",), lambda values: values + 0.1)
        self._wrong = self._how

    def run(self, inputs, into=None, keep=()):
        rows = inputs[names.EMBEDDINGS].shape[1] if names.EMBEDDINGS in inputs else 0
        self._how = self._wrong if rows > self.most else None
        return super().run(inputs, into, keep)

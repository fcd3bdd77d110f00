"""What the machine can do at most, measured by the engine that runs the bundle, in the same run.

Operations: the fastest of several products of two large matrices. Bandwidth: the fastest of several
products of one row and a matrix that no cache holds, so that every byte comes from memory once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import helper, numpy_helper, save_model

from runtime.engines.engine import Engine

SIDE = 2048  # of the matrices that are multiplied
WIDE = 8192  # columns of the matrix that is read: 256 MiB in float32
TALL = 8192
REPEATS = 7

Loader = Callable[[Path], Engine]


@dataclass(frozen=True, slots=True)
class Peaks:
    """Bytes and operations per second; a multiplication with its addition is two operations."""

    bandwidth: float
    operations: float


def measure_peaks(folder: Path, load: Loader, dtype: type[np.floating] = np.float32) -> Peaks:
    """Measure with graphs that are written into `folder` and loaded by `load`."""
    product = _fastest(folder / "product.onnx", load, SIDE, SIDE, SIDE, dtype)
    read = _fastest(folder / "read.onnx", load, 1, TALL, WIDE, dtype)
    return Peaks(TALL * WIDE * np.dtype(dtype).itemsize / read, 2 * SIDE**3 / product)


def _fastest(
    path: Path, load: Loader, rows: int, inner: int, columns: int, dtype: type[np.floating]
) -> float:
    """Seconds of the fastest product of (rows, inner) and a constant (inner, columns)."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    right = np.random.default_rng(0).standard_normal((inner, columns), np.float32).astype(dtype)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["left", "right"], ["product"])],
        path.stem,
        [helper.make_tensor_value_info("left", kind, [rows, inner])],
        [helper.make_tensor_value_info("product", kind, [rows, columns])],
        [numpy_helper.from_array(right, "right")],
    )
    opset = [helper.make_opsetid("", 18)]
    save_model(helper.make_model(graph, opset_imports=opset, ir_version=10), path)
    engine = load(path)
    left = {"left": np.ones((rows, inner), dtype)}
    engine.run(left)
    spent = []
    for _ in range(REPEATS):
        began = time.perf_counter_ns()
        engine.run(left)
        spent.append(time.perf_counter_ns() - began)
    return min(spent) / 1e9

"""Where tensors live: host arrays, and device tensors that stay where an engine computes."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

DeviceKind = Literal["cpu", "cuda", "webgpu"]

TYPES = {  # ONNX Runtime's names of what graphs hand to each other
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
}


@dataclass(frozen=True, slots=True)
class Place:
    """A memory. `resident`: results that may stay in it do stay, as `DeviceTensor`s."""

    kind: DeviceKind
    index: int = 0
    resident: bool = False


HOST = Place("cpu")
CUDA = Place("cuda", resident=True)
WEBGPU = Place("webgpu", resident=True)


@dataclass(frozen=True, slots=True, eq=False)
class DeviceTensor:
    """Memory in ONNX Runtime's hands that outlives a run, under a shape of its own."""

    value: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    place: Place

    @classmethod
    def of(cls, value: Any, place: Place) -> DeviceTensor:  # noqa: ANN401 - an OrtValue
        """What a run left in `place`."""
        dtype = np.dtype(TYPES[value.data_type()])
        return cls(value, tuple(value.shape()), dtype, place)

    @classmethod
    def zeros(
        cls, onnxruntime: ModuleType, shape: tuple[int, ...], dtype: DTypeLike, place: Place
    ) -> DeviceTensor:
        """Allocated and zeroed."""
        return cls.upload(onnxruntime, np.zeros(shape, dtype), place)

    @classmethod
    def upload(cls, onnxruntime: ModuleType, array: NDArray[Any], place: Place) -> DeviceTensor:
        """A copy of a host array."""
        value = onnxruntime.OrtValue.ortvalue_from_numpy(
            np.ascontiguousarray(array), place.kind, place.index
        )
        return cls(value, array.shape, array.dtype, place)

    @classmethod
    def empty(
        cls, onnxruntime: ModuleType, shape: tuple[int, ...], dtype: DTypeLike, place: Place
    ) -> DeviceTensor:
        """Allocated, its content undefined."""
        value = onnxruntime.OrtValue.ortvalue_from_shape_and_type(
            list(shape), np.dtype(dtype).type, place.kind, place.index
        )
        return cls(value, shape, np.dtype(dtype), place)

    @property
    def pointer(self) -> int:
        """The address in the memory of its place."""
        return self.value.data_ptr()

    def reshape(self, *shape: int) -> DeviceTensor:
        """The same memory under another shape of as many elements."""
        if np.prod(shape) != np.prod(self.shape):
            raise ValueError(f"{self.shape} can't be seen as {shape}")
        return DeviceTensor(self.value, shape, self.dtype, self.place)

    def numpy(self) -> NDArray[Any]:
        """A copy on the host."""
        return self.value.numpy().reshape(self.shape).copy()


Tensor = NDArray[Any] | DeviceTensor


def on_host(tensor: Tensor) -> NDArray[Any]:
    """The values of a tensor, wherever it lies."""
    return tensor.numpy() if isinstance(tensor, DeviceTensor) else tensor

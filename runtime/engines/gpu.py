"""The NVIDIA GPU of this machine, asked of its driver."""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from dataclasses import dataclass

CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76  # numbers of CUdevice_attribute
NAME_LENGTH = 256


@dataclass(frozen=True, slots=True)
class Gpu:
    """`capability`: compute capability, such as "8.6"; `memory`: bytes in all."""

    name: str
    capability: str
    memory: int


def find_gpu(driver: ctypes.CDLL | None = None) -> Gpu | None:
    """The first GPU, or None: no driver, or no device that it may use."""
    driver = driver or _driver()
    if driver is None or driver.cuInit(0) != 0:
        return None
    device = ctypes.c_int()
    if driver.cuDeviceGet(ctypes.byref(device), 0) != 0:
        return None
    name = ctypes.create_string_buffer(NAME_LENGTH)
    driver.cuDeviceGetName(name, NAME_LENGTH, device)
    memory = ctypes.c_size_t()
    driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    numbers = []
    for attribute in (CAPABILITY_MAJOR, CAPABILITY_MINOR):
        number = ctypes.c_int()
        driver.cuDeviceGetAttribute(ctypes.byref(number), attribute, device)
        numbers.append(str(number.value))
    return Gpu(name.value.decode(), ".".join(numbers), memory.value)


def _driver() -> ctypes.CDLL | None:
    file = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        return ctypes.CDLL(file)
    except OSError:
        return None

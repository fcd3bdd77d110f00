"""The NVIDIA GPU of this machine, asked of its driver."""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from dataclasses import dataclass
from pathlib import Path

CAPABILITY_MAJOR, CAPABILITY_MINOR, INTEGRATED = 75, 76, 18  # numbers of CUdevice_attribute
MEMINFO = Path("/proc/meminfo")
NAME_LENGTH = 256


@dataclass(frozen=True, slots=True)
class Gpu:
    """`capability`: compute capability, such as "8.6"; `memory`: bytes in all.

    `free`: bytes that nobody holds, None where the system does not say. A GPU that shares the
    host's memory (a Jetson's) has what the host has available.
    """

    name: str
    capability: str
    memory: int
    free: int | None = None


def find_gpu(driver: ctypes.CDLL | None = None, meminfo: Path = MEMINFO) -> Gpu | None:
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
    capability = ".".join(
        str(_attribute(driver, device, each)) for each in (CAPABILITY_MAJOR, CAPABILITY_MINOR)
    )
    shared = _attribute(driver, device, INTEGRATED)
    free = available_on_host(meminfo) if shared else _free(driver, device)
    return Gpu(name.value.decode(), capability, memory.value, free)


def available_on_host(meminfo: Path = MEMINFO) -> int | None:
    """Bytes that the host can give without swapping; None where the system does not say."""
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeError):
        return None
    for line in lines:
        name, _, rest = line.partition(":")
        if name == "MemAvailable" and rest.split()[:1] and rest.split()[0].isdigit():
            return int(rest.split()[0]) * 1024
    return None


def _attribute(driver: ctypes.CDLL, device: ctypes.c_int, attribute: int) -> int:
    number = ctypes.c_int()
    driver.cuDeviceGetAttribute(ctypes.byref(number), attribute, device)
    return number.value


def _free(driver: ctypes.CDLL, device: ctypes.c_int) -> int | None:
    """What the driver has left: it answers within a context only."""
    context, free, total = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_size_t()
    if driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device) != 0:
        return None
    try:
        driver.cuCtxPushCurrent_v2(context)
        status = driver.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
        driver.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))
    finally:
        driver.cuDevicePrimaryCtxRelease_v2(device)
    return free.value if status == 0 else None


def _driver() -> ctypes.CDLL | None:
    file = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        return ctypes.CDLL(file)
    except OSError:
        return None

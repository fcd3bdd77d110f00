"""What tells one device from another that may compute otherwise: processor, driver, software."""

from __future__ import annotations

import platform
from pathlib import Path

PROCESSORS = Path("/proc/cpuinfo")
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
# Of the first processor: what it is, and which instructions decide between kernels.
TELLING = ("model name", "CPU implementer", "CPU variant", "CPU part", "flags", "Features")
LONGEST = 1 << 14  # characters
DOT_PRODUCTS = {"avx512_vnni", "avx_vnni", "amx_int8"}  # each adds products of 8 bits in 32


def processor(file: Path = PROCESSORS) -> str:
    """This machine's processor with its instructions, in one line."""
    told = [platform.machine()]
    for line in _read(file).partition("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        if name.strip() in TELLING:
            told.append(" ".join(value.split()))
    return "; ".join(told if len(told) > 1 else [*told, platform.processor()])


def has_dot_products(file: Path = PROCESSORS) -> bool:
    """Whether an x86-64 processor is known to add products of 8-bit numbers without overflow."""
    return not DOT_PRODUCTS.isdisjoint(processor(file).replace(";", " ").split())


def nvidia_driver(file: Path = NVIDIA_DRIVER) -> str:
    """The version of NVIDIA's driver, in one line; empty where the system does not say."""
    return " ".join(_read(file).partition("\n")[0].split())


def _read(file: Path) -> str:
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            return opened.read(LONGEST)
    except OSError:
        return ""

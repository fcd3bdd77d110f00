"""Devices that one may buy: memory, its bandwidth, and operations in 16 bits, from data sheets.

NVIDIA states sparse operations of fewer bits. Dense ones in 16 bits, added up in 32, are a quarter
of a Jetson Orin's sparse INT8 (the GPU's, without the accelerators beside it), an eighth of Thor's
sparse FP4, an eighth of an Ada GeForce's sparse INT8 and a sixteenth of a Blackwell GeForce's
sparse FP4: GeForce adds up in 32 bits at half the rate. Laptops' are of the most power that a maker
may allow. The sheets that are named were not read when this was written: the
operations of the Orin Nano Super, AGX Orin 64GB, RTX 4060 and 5090, and the bandwidth of the first,
the RTX 4090 and 5090 were found so on pages that quote them, the rest on none. Look before you buy.
"""

from __future__ import annotations

from dataclasses import dataclass

from runtime.errors import RuntimeFault

JETSON_RESERVE, GPU_RESERVE = 2e9, 0.5e9  # bytes: of the system, of the display
ORIN = "NVIDIA, Jetson Orin modules, technical specifications"
SUPER = "NVIDIA, Jetson Orin Nano Super Developer Kit"
THOR = "NVIDIA, Jetson Thor modules, technical specifications"
LAPTOPS = "NVIDIA, compare GeForce laptops"


@dataclass(frozen=True, slots=True)
class DeviceSheet:
    """`memory` in bytes, `reserved` of it by others; per second bytes and operations.

    `stated` is what the maker says, in 1e12 sparse operations, of which `operations` are computed.
    """

    name: str
    memory: float
    bandwidth: float
    stated: float
    divisor: int
    reserved: float
    source: str

    @property
    def operations(self) -> float:
        """Dense, in 16 bits, per second."""
        return self.stated * 1e12 / self.divisor


def _jetson(
    name: str, gigabytes: float, bandwidth: float, stated: float, divisor: int, source: str
) -> DeviceSheet:
    return DeviceSheet(
        f"Jetson {name}", gigabytes * 1e9, bandwidth * 1e9, stated, divisor, JETSON_RESERVE, source
    )


def _laptop(
    name: str, gigabytes: float, bandwidth: float, stated: float, divisor: int
) -> DeviceSheet:
    name = f"RTX {name} Laptop"
    return DeviceSheet(
        name, gigabytes * 1e9, bandwidth * 1e9, stated, divisor, GPU_RESERVE, LAPTOPS
    )


DEVICES = (
    _jetson("Orin Nano 8GB", 8, 68, 40, 4, ORIN),
    _jetson("Orin Nano Super 8GB", 8, 102, 67, 4, SUPER),
    _jetson("Orin NX 16GB", 16, 102.4, 60, 4, ORIN),
    _jetson("AGX Orin 32GB", 32, 204.8, 108, 4, ORIN),
    _jetson("AGX Orin 64GB", 64, 204.8, 170, 4, ORIN),
    _jetson("Thor T4000", 64, 273, 1200, 8, THOR),
    _jetson("Thor T5000", 128, 273, 2070, 8, THOR),
    _laptop("4060", 8, 256, 233, 8),
    _laptop("4070", 8, 256, 321, 8),
    _laptop("4080", 12, 432, 542, 8),
    _laptop("4090", 16, 576, 686, 8),
    _laptop("5060", 8, 384, 572, 16),
    _laptop("5070", 8, 384, 798, 16),
    _laptop("5070 Ti", 12, 672, 992, 16),
    _laptop("5080", 16, 896, 1334, 16),
    _laptop("5090", 24, 896, 1824, 16),
)


def device_named(name: str) -> DeviceSheet:
    """The sheet of a device, in any case. Raises RuntimeFault for one that is not in the table."""
    wanted = " ".join(name.lower().split())
    for device in DEVICES:
        if device.name.lower() == wanted:
            return device
    known = ", ".join(device.name for device in DEVICES)
    raise RuntimeFault(f"--device {name}: no such device is in the table; there are {known}")

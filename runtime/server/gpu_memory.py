"""Memory of GPUs, as NVIDIA's driver tells it. Needs the extra `serve`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """Of one GPU. `used`: bytes that are taken, by whomever."""

    name: str
    used: int
    total: int


def gpu_memory() -> tuple[GpuMemory, ...]:
    """Of every GPU in the driver's order; nothing where there is none, or it does not tell."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # whatever the library raises where there is no driver
        return ()
    try:
        return tuple(_of(pynvml, number) for number in range(pynvml.nvmlDeviceGetCount()))
    except pynvml.NVMLError:  # an integrated GPU, which has no memory of its own
        return ()
    finally:
        pynvml.nvmlShutdown()


def _of(driver: object, number: int) -> GpuMemory:
    gpu = driver.nvmlDeviceGetHandleByIndex(number)
    memory = driver.nvmlDeviceGetMemoryInfo(gpu)
    return GpuMemory(f"{number} {driver.nvmlDeviceGetName(gpu)}", memory.used, memory.total)

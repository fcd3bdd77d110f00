"""What was measured of decoders side by side, and what is asked of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.instruments.decoders.fidelity import Fidelity
from benchmarks.instruments.decoders.in_torch import NAME as TORCH
from benchmarks.instruments.decoders.rounds import Rounds
from benchmarks.instruments.peaks import Peaks
from runtime.bundle.manifest import Accumulation, QuantizationKind

ENGINES: dict[str, tuple[QuantizationKind, Accumulation]] = {
    "int4, float": ("int4", "float"),
    "int4, int8": ("int4", "int8"),
    "int8": ("int8", "int8"),
    "float32": ("float32", "float"),
}
BITS = {4: ("int4, float", "int4, int8"), 8: ("int8",)}
OF_BANDWIDTH = 0.8  # for a token in 4 bits
WITH_AMX, WITHOUT_AMX = 1.0, 2.5  # times PyTorch bf16, for a step prefilled
AS_NEAR = 1.1  # times a peer's error at most: of the same error


@dataclass(frozen=True, slots=True)
class Measurement:
    """`rounds` of all decoders; `stored`: bytes of their weights; `operations` of a prefill."""

    rounds: Rounds
    stored: Mapping[str, int | None]
    fidelity: Mapping[str, Fidelity]
    operations: Mapping[int, int]
    peaks: Peaks

    def speedup(self, name: str, stage: str, depth: int) -> float | None:
        """How many times faster than PyTorch a decoder is: the median over rounds."""
        if TORCH not in self.rounds.times:
            return None
        return self.rounds.ratio(TORCH, name, stage, depth)

    def of_peak(self, name: str, depth: int) -> float:
        """Prefill's operations per second, as a share of the peak."""
        spent = self.rounds.median(name, "prefill", depth)
        return self.operations[depth] / spent / self.peaks.operations

    def of_bandwidth(self, name: str, depth: int) -> float | None:
        """Bytes of weights that a token reads per second, as a share of what can be read."""
        stored = self.stored[name]
        spent = self.rounds.median(name, "decode", depth)
        return None if stored is None else stored / spent / self.peaks.bandwidth

    def fastest(self, names: Sequence[str], stage: str, depth: int) -> str:
        """Which of them takes least."""
        return min(names, key=lambda name: self.rounds.median(name, stage, depth))


@dataclass(frozen=True, slots=True)
class Target:
    """A figure and the least it has to be."""

    what: str
    figure: float
    least: float

    @property
    def met(self) -> bool:
        """Whether it is."""
        return self.figure >= self.least


def targets(
    measured: Measurement, has_amx: bool, depth: int, peers: Mapping[str, int]
) -> list[Target]:
    """What is asked of the engines at one depth, and what they reached; of what was measured.

    `peers`: by name, the bits of their weights.
    """
    there = measured.rounds.times
    ours = [name for name in ENGINES if name in there]
    listed = [
        Target(
            f"decode, {name}, of bandwidth", measured.of_bandwidth(name, depth) or 0, OF_BANDWIDTH
        )
        for name in BITS[4]
        if name in there
    ]
    if TORCH in there and ours:
        best = measured.fastest(ours, "prefill", depth)
        speed = measured.rounds.ratio(TORCH, best, "prefill", depth)
        least = WITH_AMX if has_amx else WITHOUT_AMX
        listed.append(Target(f"prefill, {best}, times {TORCH}", speed, least))
    for peer, bits in peers.items():
        if peer in there:
            listed += _beside(measured, peer, bits, depth)
    return listed


def _beside(measured: Measurement, peer: str, bits: int, depth: int) -> Iterator[Target]:
    """Our fastest of so many bits that is as near as a peer, against that peer."""
    most = AS_NEAR * measured.fidelity[peer].error
    there, fidelity = measured.rounds.times, measured.fidelity
    near = [name for name in BITS[bits] if name in there and fidelity[name].error <= most]
    for stage in ("decode", "prefill") if near else ():
        best = measured.fastest(near, stage, depth)
        ratio = measured.rounds.ratio(peer, best, stage, depth)
        yield Target(f"{stage}, {best}, times {peer}", ratio, 1.0)

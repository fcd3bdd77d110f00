"""Which peers there are, and what each needs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Peer:
    """`module`: of this package; `variant`: what it makes of the weights; `bits`: of a weight.

    `package`: what has to be installed, as it is imported.
    """

    name: str
    module: str
    variant: str
    bits: int
    package: str

    @property
    def family(self) -> str:
        """The name without what was made of the weights: what `--peers` takes."""
        return self.name.rpartition(" ")[0]


PEERS = (
    Peer("llama.cpp Q4_0", "llama", "Q4_0", 4, "llama_cpp"),
    Peer("llama.cpp Q4_K_M", "llama", "Q4_K_M", 4, "llama_cpp"),
    Peer("llama.cpp Q8_0", "llama", "Q8_0", 8, "llama_cpp"),
    Peer("OpenVINO int4", "open_vino", "int4", 4, "openvino"),
    Peer("OpenVINO int8", "open_vino", "int8", 8, "openvino"),
    Peer("onnxruntime-genai int4", "genai", "int4", 4, "onnxruntime_genai"),
)
FAMILIES = tuple(dict.fromkeys(peer.family for peer in PEERS))


def peers_of(families: list[str]) -> tuple[Peer, ...]:
    """The peers of some families, in their order here."""
    return tuple(peer for peer in PEERS if peer.family in families)

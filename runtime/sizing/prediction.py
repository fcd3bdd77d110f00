"""What a device does with a model: each stage takes as long as the scarcer of two things lets it.

A stage's time is the larger of its operations by the operations that are reached, and its bytes by
the bandwidth that is reached. What is reached of what a data sheet says is a guess for GPUs, on
which nothing was measured; `python -m benchmarks size` says how far the formula is off on a
processor, with what other shapes reached of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runtime.sizing.devices import DeviceSheet
from runtime.sizing.workload import (
    DECODERS,
    HALF,
    INT4_BITS,
    DecoderSize,
    fixed_memory,
    vision_operations,
    vision_weights,
    vjepa_operations,
    vjepa_weights,
)

CONTEXTS = 2
STEP_TOKENS = 9 * 12  # of a 4:3 frame
TEXT_TOKENS = 64  # a question with four options
STEPS_IN_CONTEXT = 20
SHOWN = ("3b", "7b")


@dataclass(frozen=True, slots=True)
class Reach:
    """Bytes and operations per second that programs get."""

    bandwidth: float
    operations: float

    def seconds(self, operations: float, read: float) -> float:
        """How long work takes that does so many operations and reads so many bytes."""
        return max(operations / self.operations, read / self.bandwidth)


GPU_SHARES = Reach(bandwidth=0.70, operations=0.45)  # of peaks: a guess


def reached(peaks: Reach, shares: Reach) -> Reach:
    """What is left of peaks."""
    return Reach(peaks.bandwidth * shares.bandwidth, peaks.operations * shares.operations)


def prefill_seconds(
    size: DecoderSize, reach: Reach, tokens: int, past: int, rows: int = 0, bits: float = INT4_BITS
) -> float:
    """Of one run of the decoder; `rows` of its tokens have logits."""
    read = size.stored(bits) + past * size.row()
    return reach.seconds(size.operations(tokens, past, rows), read)


def token_seconds(
    size: DecoderSize, reach: Reach, past: int, bits: float = INT4_BITS, width: int = HALF
) -> float:
    """Of one token after `past`; keys and values in `width` bytes a number."""
    read = size.stored(bits) + past * size.row(width)
    return reach.seconds(size.operations(1, past, 1), read)


@dataclass(frozen=True, slots=True)
class Prediction:
    """`pairs` and `steps` per second: frames encoded, and steps encoded and put into contexts.

    `window`: steps that fit into the contexts, 0 where not even the weights fit; `first_token` in
    seconds, `tokens` per second.
    """

    shape: str
    memory: float
    window: int
    pairs: float
    steps: float
    first_token: float
    tokens: float

    @property
    def line(self) -> str:
        """For people."""
        if self.window == 0:
            return f"{self.shape}: does not fit: takes {self.memory / 1e9:.1f} GB and a context"
        return (
            f"{self.shape}: {self.pairs:.1f} pairs of frames per s encoded, {self.steps:.1f} steps "
            f"per s; first token after {self.first_token:.2f} s, then {self.tokens:.0f} tokens per "
            f"s; {self.memory / 1e9:.1f} GB, and room for {self.window} steps in each of "
            f"{CONTEXTS} contexts"
        )


def predict(device: DeviceSheet, shape: str) -> Prediction:
    """What a device does with a bundle for CUDA in int4."""
    size = DECODERS[shape]
    reach = reached(Reach(device.bandwidth, device.operations), GPU_SHARES)
    past = STEPS_IN_CONTEXT * STEP_TOKENS
    vision = reach.seconds(
        vision_operations(size.width, STEP_TOKENS), HALF * sum(vision_weights(size.width))
    )
    pair = vision + reach.seconds(vjepa_operations(), HALF * vjepa_weights())
    prefill = prefill_seconds(size, reach, STEP_TOKENS, past)
    fixed = fixed_memory(size)
    room = device.memory - device.reserved - fixed
    return Prediction(
        shape,
        fixed,
        max(0, int(room / (CONTEXTS * STEP_TOKENS * size.row()))),
        1 / pair,
        1 / (pair + CONTEXTS * prefill),
        prefill_seconds(size, reach, STEP_TOKENS + TEXT_TOKENS, past, rows=1),
        1 / token_seconds(size, reach, past),
    )


def prediction_lines(device: DeviceSheet) -> Iterator[str]:
    """Everything about a device, and how much it is worth."""
    yield (
        f"{device.name}: {device.memory / 1e9:.0f} GB, {device.bandwidth / 1e9:.0f} GB/s, "
        f"{device.operations / 1e12:.0f} TFLOP/s dense in 16 bits ({device.source})"
    )
    for shape in SHOWN:
        yield predict(device, shape).line
    yield (
        f"computed, int4, {STEP_TOKENS} tokens a step, {STEPS_IN_CONTEXT} steps before: "
        f"{GPU_SHARES.operations:.0%} of its operations and {GPU_SHARES.bandwidth:.0%} of its "
        "bandwidth are guessed to be reached; the error is not known: no such device was measured. "
        "Compare the first line with the maker's sheet"
    )

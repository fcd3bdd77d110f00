"""The released evaluation's rules, written again from their description, in torch and fractions.

Nothing here is taken from the code that it judges: times are exact fractions of seconds, fixations
float32 tensors, the resize is PyTorch's own.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import torch

SHORTEST = Fraction(1, 10)


@dataclass(frozen=True)
class Clip:
    """Indices of the frames taken; for each step the indices of its fixations, None without any."""

    frames: list[int]
    active: list[list[int]] | None


def sampled(total, per_second, start, end, spans):
    """The clip [start, end] of a video of `total` frames; None where the release gives up.

    `per_second`: a Fraction. `spans`: (begin, end) of fixations in seconds, floats.
    """
    cut = max(end - start, SHORTEST)
    first, beyond = ceil(start * per_second), ceil((start + cut) * per_second)
    inside = range(total)[first:beyond]  # those from the start on and before the end
    length = float(end - start)
    rate = 1.0 if length <= 30 else 0.5 if length <= 60 else 0.2 if length <= 300 else 0.1
    wanted = len(inside) / float(per_second) * rate
    wanted = min(wanted, 8.0) if wanted > 4.0 else 4.0
    pairs = int(min(wanted, len(inside)) / 2)
    if pairs < 1:
        return None
    places = torch.linspace(0, len(inside) - 1, 2 * pairs).round().long()
    frames = [inside[place] for place in places]
    times = [float(start) + step * (2 / rate) for step in range(pairs)]
    return Clip(frames, active_fixations(spans, float(start), float(end), times))


def active_fixations(spans, start, end, times):
    """Kept by their middle in the clip; active from middle - half to middle + half, in float32."""
    middle = torch.tensor([(a + b) / 2 for a, b in spans], dtype=torch.float32)
    duration = torch.tensor([b - a for a, b in spans], dtype=torch.float32).clamp(min=1e-6)
    kept = (middle >= start) & (middle <= end)
    if not kept.any():
        return None
    return [
        (kept & (time >= middle - duration / 2) & (time <= middle + duration / 2))
        .nonzero()
        .flatten()
        .tolist()
        for time in times
    ]


def resized(pixels, height, width):
    """uint8 (h, w, 3) in torchvision's way: float32, bicubic and antialiased, rounded once."""
    planes = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    small = torch.nn.functional.interpolate(
        planes, size=(height, width), mode="bicubic", antialias=True
    )
    return small.clamp(0, 255).round().to(torch.uint8)[0].permute(1, 2, 0).numpy()


def prompt(question, options):
    """Stripped; an option that begins with its own letter and a full stop keeps that."""
    lines = [f"Question: {question.strip()}", "Options:"]
    for place, option in enumerate(options):
        letter, text = "ABCDEFGH"[place], option.strip()
        own = text[1:2] == "." and text[0] in (letter, letter.lower())
        lines.append(text if own else letter + ". " + text)
    return "\n".join(lines) + "\n\nThe best option is:"

"""What the head camera sees: a textured table with things on it, light, shadow and noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from devices.synthetic.head import HeadPose
from devices.synthetic.scene import TEXTURES, Scene, Thing
from devices.synthetic.shapes import picture

BORDER = 0.12  # how far the table is drawn beyond the frame, in fractions of the frame
SURFACES = ((150, 118, 84), (112, 84, 60), (128, 128, 130), (84, 88, 92), (172, 160, 140))
NOISE_BANK = 1 << 20  # values; a frame takes a run of them
SHADING = 0.2  # of the lens, at the edges of the frame


class TablePicture:
    """A scene drawn once at `pixels` per frame side; views of it are cut out of the drawing."""

    def __init__(self, scene: Scene, pixels: int) -> None:
        self._scene = scene
        self._pixels = pixels
        self._bare = _bare_table(scene.texture, round(pixels * (1 + 2 * BORDER)))
        self._drawn: dict[tuple[int, ...], Image.Image] = {}

    def view(self, pose: HeadPose, seconds: float, width: int, height: int) -> Image.Image:
        """What is seen from a pose, without noise: resized from the drawing in one go."""
        drawn = self._drawing(self._scene.present(seconds))
        span = self._pixels * pose.zoom
        centre_x = (0.5 + BORDER + pose.x) * self._pixels
        centre_y = (0.5 + BORDER + pose.y) * self._pixels
        box = (
            max(centre_x - span / 2, 0.0),
            max(centre_y - span / 2, 0.0),
            min(centre_x + span / 2, drawn.width),
            min(centre_y + span / 2, drawn.height),
        )
        return drawn.resize((width, height), Image.Resampling.BICUBIC, box=box)

    def frame(
        self, pose: HeadPose, seconds: float, index: int, width: int, height: int
    ) -> NDArray[np.uint8]:
        """One camera frame (height, width, 3), uint8 RGB, with the noise of its `index`."""
        seen = np.asarray(self.view(pose, seconds, width, height))
        return through_camera(seen, self._bare.noise, index)

    def _drawing(self, present: tuple[int, ...]) -> Image.Image:
        if present not in self._drawn:
            canvas = self._bare.surface.copy()
            for place in present:
                _put(canvas, self._scene.things[place], self._pixels)
            lit = np.clip(canvas * self._bare.light, 0, 255).astype(np.uint8)
            self._drawn[present] = Image.fromarray(lit)
        return self._drawn[present]


def through_camera(seen: NDArray[np.uint8], deviation: float, index: int) -> NDArray[np.uint8]:
    """What the sensor makes of a view (h, w, 3): the lens's colour shading, and noise.

    `deviation` of the noise in grey levels; it is the same for the same `index`.
    """
    start = (index * 7919 * 131) % (NOISE_BANK - seen.size)
    noise = _noise()[start : start + seen.size].reshape(seen.shape) * np.float32(deviation)
    noise += seen * lens_shading(seen.shape[1], seen.shape[0])
    return np.clip(noise, 0, 255, out=noise).astype(np.uint8)


@cache
def lens_shading(width: int, height: int) -> NDArray[np.float32]:
    """The gain of each colour across the frame, (height, width, 3).

    It is strong, and it is what tells an encoder with relative positions only, such as V-JEPA's,
    where in the frame a patch is: over a plain table nothing else could.
    """
    across, down = np.meshgrid(
        np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)
    )
    red, green, blue = 1 + SHADING * across, 1 + SHADING * down, 1 - SHADING * across
    return np.stack([red, green, blue], axis=-1) * np.float32(0.95)


@cache
def _noise() -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(NOISE_BANK).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _BareTable:
    """Surface and light (side, side, 3), and the camera's noise in grey levels."""

    surface: NDArray[np.float32]
    light: NDArray[np.float32]
    noise: float


@lru_cache(maxsize=TEXTURES)
def _bare_table(texture: int, side: int) -> _BareTable:
    random = np.random.default_rng(texture)
    surface, light = _surface(random, side), _light(random, side)
    return _BareTable(surface, light, float(random.uniform(2.0, 6.0)))


def _surface(random: np.random.Generator, side: int) -> NDArray[np.float32]:
    """Streaks and blotches around one colour: (side, side, 3)."""
    colour = np.array(SURFACES[random.integers(len(SURFACES))], np.float32)
    colour = colour * random.uniform(0.85, 1.15)
    streaks = _blotches(random, side, (3, int(random.integers(8, 40)))) * random.uniform(4, 16)
    blotches = _blotches(random, side, (6, 6)) * random.uniform(3, 12)
    grain = _blotches(random, side, (60, 60)) * random.uniform(1, 5)
    pattern = streaks + blotches + grain
    if random.random() < 0.5:
        pattern = pattern.T
    return colour + pattern[..., None]


def _blotches(random: np.random.Generator, side: int, cells: tuple[int, int]) -> NDArray:
    coarse = random.standard_normal(cells).astype(np.float32)
    smooth = Image.fromarray(coarse).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(smooth)


def _light(random: np.random.Generator, side: int) -> NDArray[np.float32]:
    """Brightness that falls off across the table, and the colour of the light."""
    across, down = np.meshgrid(*[np.linspace(-1, 1, side, dtype=np.float32)] * 2)
    angle = random.uniform(0, 2 * np.pi)
    slope = random.uniform(0, 0.18) * (across * np.cos(angle) + down * np.sin(angle))
    warmth = random.uniform(-0.05, 0.05)
    tint = np.array([1 + warmth, 1.0, 1 - warmth], np.float32)
    return ((random.uniform(0.8, 1.08) + slope)[..., None] * tint).astype(np.float32)


def _put(canvas: NDArray[np.float32], thing: Thing, pixels: int) -> None:
    """Draw a thing and its shadow onto the table."""
    side = round(thing.size * pixels)
    colour, opacity = picture(thing.kind, thing.colour, side, thing.degrees)
    left = round((thing.x + BORDER) * pixels - side / 2)
    top = round((thing.y + BORDER) * pixels - side / 2)
    drop = max(side // 16, 1)
    for offset, paint, cover in (
        (drop, np.zeros((), np.float32), opacity * 0.45),
        (0, colour, opacity),
    ):
        rows = slice(max(top + offset, 0), top + offset + side)
        columns = slice(max(left + offset, 0), left + offset + side)
        part = canvas[rows, columns]
        cover = cover[: part.shape[0], : part.shape[1]]
        paint = paint[: part.shape[0], : part.shape[1]] if paint.ndim else paint
        part += (paint - part) * cover

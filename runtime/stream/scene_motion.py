"""How the scene moves in the frame: sparse optical flow between small pictures."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS

LONGEST_SIDE = 128  # pixels of the small picture
GRID = (8, 6)  # points across and down
PATCH, LEVELS = (15, 15), 3  # reaches 100 pixels: 300 degrees per second in any camera
TRACKED = 1 / 3  # of the points that have to be found again
FARTHEST_APART = int(0.2 * NANOSECONDS)  # frames between which motion can still be followed


class SceneMotion:
    """Follows one stream of frames. The same pixels give the same flow on the same machine.

    Lucas and Kanade's method on a grid, its median: less than 2 ms a frame (OpenCV).
    """

    def __init__(self) -> None:
        cv2.setNumThreads(1)  # the other cores are the encoder's
        self._grid: NDArray[np.float32] | None = None
        self._before: NDArray[np.uint8] | None = None
        self._before_at = 0

    def follow(self, pixels: NDArray[np.uint8], captured_at: int) -> tuple[float, float] | None:
        """Flow from the frame before to this one, in fractions of width and height per second.

        `pixels`: uint8 RGB (h, w, 3), of any size; `captured_at` in Unix ns. None for the first
        frame, after a pause or where too little can be followed.
        """
        small = _small(pixels)
        before, self._before = self._before, small
        elapsed, self._before_at = captured_at - self._before_at, captured_at
        if before is None or before.shape != small.shape or not 0 < elapsed <= FARTHEST_APART:
            return None
        height, width = small.shape
        points = self._points(width, height)
        found, status, _ = cv2.calcOpticalFlowPyrLK(
            before, small, points, None, winSize=PATCH, maxLevel=LEVELS
        )
        tracked = status[:, 0] == 1
        if tracked.mean() < TRACKED:
            return None
        across, down = np.median((found - points)[tracked, 0], axis=0)
        seconds = elapsed / NANOSECONDS
        return float(across) / width / seconds, float(down) / height / seconds

    def _points(self, width: int, height: int) -> NDArray[np.float32]:
        """The grid, (points, 1, 2) in pixels, at the centres of equal cells."""
        if self._grid is None:
            across = (np.arange(GRID[0]) + 0.5) * width / GRID[0]
            down = (np.arange(GRID[1]) + 0.5) * height / GRID[1]
            columns, rows = np.meshgrid(across, down)
            points = np.stack([columns.ravel(), rows.ravel()], axis=1)
            self._grid = points.astype(np.float32)[:, None]
        return self._grid


def _small(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A small grey picture, uint8 (h, w), of the same view."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    scale = LONGEST_SIDE / max(height, width)
    if scale >= 1:
        return grey
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)

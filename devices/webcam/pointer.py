"""Where somebody without an eye tracker looks: at the mouse over a preview window, else ahead."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    import tkinter

WINDOW_WIDTH = 640
REDRAW_MS = 33


class Pointer(Protocol):
    """A source of gaze. `kind` names it, as in DeviceInfo.gaze_from."""

    kind: str

    def position(self) -> tuple[float, float] | None:
        """Fractions of the frame, origin at the top left; None: no gaze."""
        ...

    def show(self, pixels: NDArray[np.uint8]) -> None:
        """Take the newest frame, uint8 RGB."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


class Centre:
    """The middle of the frame: what a head camera mostly shows is what its wearer faces."""

    kind = "centre"

    def position(self) -> tuple[float, float] | None:
        return 0.5, 0.5

    def show(self, pixels: NDArray[np.uint8]) -> None:
        """Nothing is shown."""

    def close(self) -> None:
        """Nothing is held."""


class PreviewWindow:
    """A window with the camera's picture; the mouse over it is the gaze."""

    kind = "mouse"

    def __init__(self, size: tuple[int, int]) -> None:
        """`size` is (width, height) of the frames."""
        scale = min(1.0, WINDOW_WIDTH / size[0])
        self._size = round(size[0] * scale), round(size[1] * scale)
        self._pixels: NDArray[np.uint8] | None = None
        self._position: tuple[float, float] | None = None
        self._closing = threading.Event()
        self._ready = threading.Event()
        self._open = False
        self._thread = threading.Thread(target=self._run, name="preview", daemon=True)

    def start(self) -> bool:
        """Open the window; False where there is no screen or no Tk."""
        self._thread.start()
        self._ready.wait()
        if not self._open:
            self._thread.join()
        return self._open

    def position(self) -> tuple[float, float] | None:
        return self._position

    def show(self, pixels: NDArray[np.uint8]) -> None:
        self._pixels = pixels

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        # Tk belongs to the thread that made it.
        try:
            import tkinter

            window = tkinter.Tk()
        except Exception:
            # ImportError, or TclError, which can't be named where Tk is missing.
            self._ready.set()
            return
        window.title("GazeQwen Edge: look with the mouse")
        label = tkinter.Label(window, width=self._size[0], height=self._size[1], borderwidth=0)
        label.pack()
        label.bind("<Motion>", self._moved)
        label.bind("<Leave>", self._left)
        window.protocol("WM_DELETE_WINDOW", self._closing.set)
        self._open = True
        self._ready.set()
        self._redraw(window, label)
        window.mainloop()

    def _moved(self, event: tkinter.Event) -> None:
        self._position = event.x / self._size[0], event.y / self._size[1]

    def _left(self, event: tkinter.Event) -> None:
        self._position = None

    def _redraw(self, window: tkinter.Tk, label: tkinter.Label) -> None:
        import tkinter

        if self._closing.is_set():
            self._position = None
            window.destroy()
            return
        if self._pixels is not None:
            picture = Image.fromarray(self._pixels).resize(self._size)
            header = f"P6 {self._size[0]} {self._size[1]} 255\n".encode()
            photo = tkinter.PhotoImage(data=header + picture.tobytes(), format="PPM")
            label.configure(image=photo)
            label.photo = photo  # Tk itself keeps no reference
        window.after(REDRAW_MS, self._redraw, window, label)


def open_pointer(size: tuple[int, int]) -> Pointer:
    """A preview window for frames of `size` (width, height) where that is possible."""
    window = PreviewWindow(size)
    return window if window.start() else Centre()

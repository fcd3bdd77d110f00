"""A peer in a process of its own: what breaks it is the end of its row and of nothing else.

It is told what to do in lines, and answers each with one. Times are those that it measures itself.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from benchmarks.decoder.peers.catalog import Peer
from benchmarks.instruments.decoders.rounds import DecoderLost
from benchmarks.instruments.decoders.workload import Workload

ANSWER, COMPLAINT = "answer: ", "error: "  # how the lines begin that are for us
LAST_LINES = 3  # of what it said before it ended
LONGEST = 200  # characters of a reason


class PeerProcess:
    """See `Decoder`. It lives until it is closed."""

    def __init__(self, name: str, command: Sequence[str], folder: Path) -> None:
        """Wait until the peer has its weights. Raises DecoderLost where it can't be had."""
        self.name = name
        self._folder = folder
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self._process = subprocess.Popen(command, text=True, errors="replace", **pipes)
        self._said: deque[str] = deque(maxlen=LAST_LINES)
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.stored = int(self._answer())

    def clear(self) -> None:
        """See `Decoder`."""
        self._ask("clear")

    def append(self, step: int) -> float:
        """See `Decoder`."""
        return self._ask(f"append {step}")

    def decode(self) -> float:
        """See `Decoder`."""
        return self._ask("decode")

    def follow(self) -> NDArray[np.float32]:
        """See `Decoder`."""
        self._ask("follow")
        return np.load(self._folder / LOGITS)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> PeerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, line: str) -> float:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it has ended, and its answer will say so
        return self._answer()

    def _answer(self) -> float:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(COMPLAINT):
                raise DecoderLost(line.removeprefix(COMPLAINT).strip())
            if line.startswith(ANSWER):
                return json.loads(line.removeprefix(ANSWER))
        raise DecoderLost(self._reason())

    def _listen(self) -> None:
        assert self._process.stderr is not None
        self._said.extend(filter(None, map(str.strip, self._process.stderr)))

    def _reason(self) -> str:
        """Why it ended."""
        status = self._process.wait()
        self._listener.join()
        if status < 0:
            return f"ended by {signal.Signals(-status).name}"
        return f"exit status {status}: {' | '.join(self._said)}"[:LONGEST]


LOGITS = "logits.npy"
WORKLOAD = "workload.npz"


def start_peer(
    peer: Peer, shape: str, workload: Workload, folder: Path, threads: int
) -> PeerProcess:
    """A peer of the random weights of a shape; what it writes is kept in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / WORKLOAD,
        context=workload.context,
        answer=workload.answer,
        known=workload.known,
        table=workload.table,
        residuals=workload.residuals,
        step=workload.step,
    )
    module = "benchmarks.decoder.peers"
    command = [sys.executable, "-m", module, peer.name, shape, str(folder), str(threads)]
    return PeerProcess(peer.name, command, folder)


def stored_workload(folder: Path) -> Workload:
    """What `start_peer` left for the peer."""
    with np.load(folder / WORKLOAD) as kept:
        arrays = {name: kept[name] for name in kept.files}
    return Workload(**{**arrays, "step": int(arrays["step"])})

"""One peer, told in lines what to do: see `PeerProcess`. Not called by hand."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from benchmarks.decoder.peers.catalog import PEERS
from benchmarks.decoder.peers.process import ANSWER, COMPLAINT, LOGITS, stored_workload
from benchmarks.instruments.decoders.workload import Decoder


def main(words: Sequence[str] | None = None) -> int:
    """Open the peer, then do as the lines of the standard input say; returns the exit status."""
    name, shape, folder, threads = sys.argv[1:] if words is None else words
    peer = next(each for each in PEERS if each.name == name)
    try:
        module = importlib.import_module(f"benchmarks.decoder.peers.{peer.module}")
        workload = stored_workload(Path(folder))
        decoder = module.open_decoder(peer, shape, workload, Path(folder), int(threads))
    except ImportError as error:
        told = f"{error.name} is not installed: install the extra 'peers'"
        print(f"{COMPLAINT}{told}", flush=True)
        return 1
    except Exception as error:  # whatever another project raises is its row
        told = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"{COMPLAINT}{told}"[:200], flush=True)
        return 1
    serve(decoder, Path(folder), sys.stdin, sys.stdout)
    return 0


def serve(decoder: Decoder, folder: Path, lines: Iterable[str], answers: TextIO) -> None:
    """Answer every line."""

    def answer(value: float) -> None:
        print(f"{ANSWER}{json.dumps(value)}", file=answers, flush=True)

    answer(decoder.stored or 0)
    for line in lines:
        word, *rest = line.split()
        if word == "append":
            answer(decoder.append(int(rest[0])))
        elif word == "decode":
            answer(decoder.decode())
        elif word == "follow":
            np.save(folder / LOGITS, decoder.follow())
            answer(0)
        else:
            decoder.clear()
            answer(0)


if __name__ == "__main__":
    sys.exit(main())

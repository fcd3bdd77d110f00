"""Where a bundle's memory goes: weighed on the tiny bundle, and the arithmetic of the table."""

import json
import mmap

import numpy as np

from benchmarks.memory import MEBIBYTE, Resident, Weighing, main, sheet
from runtime.bundle.opening import Bundle


def test_memory_that_is_touched_is_counted():
    before = Resident.now()
    touched = mmap.mmap(-1, 64 * MEBIBYTE, flags=mmap.MAP_PRIVATE)  # no page that others had
    np.frombuffer(touched, np.uint8)[:] = 1
    after = Resident.now()
    assert after.private - before.private > 0.9 * len(touched)
    assert after.peak >= after.total > before.total


def test_rows_are_differences(tiny_folder):
    sizes = [(10, 20, 30), (15, 120, 150)]
    weighings = [
        Weighing(name, disk, Resident(*(size * MEBIBYTE for size in each)))
        for name, disk, each in zip(("program", "vision"), (None, 7 * MEBIBYTE), sizes, strict=True)
    ]
    first, second = sheet(Bundle.open(tiny_folder), weighings).rows
    assert first == ("program", None, 10, 20, 30, 30)
    assert second == ("vision", 7, 5, 100, 135, 150)


def test_every_graph_of_a_bundle_is_weighed(tiny_folder, tmp_path, capsys):
    figures = tmp_path / "memory.json"
    assert main(["--bundle", str(tiny_folder), "--tokens", "256", "--json", str(figures)]) == 0
    assert "peak resident memory" in capsys.readouterr().out
    weighings = {
        row["what"]: row for row in json.loads(figures.read_text())["details"]["weighings"]
    }
    for graph in ("vjepa", "resampler.scene", "resampler.gaze", "vision", "decoder"):
        files = (tiny_folder / f"{graph}.onnx", tiny_folder / f"{graph}.onnx.data")
        assert weighings[graph]["on_disk"] == sum(file.stat().st_size for file in files)
    assert any("steps prefilled" in what for what in weighings)


def test_too_small_a_context_and_no_bundle_are_one_line(tiny_folder, tmp_path, capsys):
    assert main(["--bundle", str(tiny_folder), "--tokens", "20"]) == 1
    assert "error: --tokens 20" in capsys.readouterr().err
    assert main(["--bundle", str(tmp_path / "none")]) == 1
    assert "there is no such bundle" in capsys.readouterr().err

"""An error of reading is found whatever the precision, before anything is rounded."""

import pytest
import torch
from planted_errors import OF_OUR_OWN, THE_FIFTEEN

from export.builder import BundleBuilder, Checkpoints
from export.graphs.quantization import linears
from export.parity.reading.oracle import Oracle
from runtime.bundle.manifest import Settings

# What is compared as a whole, and layer by layer: (precision, memory for the comparison).
MODES = {
    "float32": ("float32", 1 << 40),
    "int4": ("int4", 1 << 40),
    "int8": ("int8", 1 << 40),
    "fp16": ("fp16", 1 << 40),
    "layer by layer": ("int4", 0),
}
PLANTED = THE_FIFTEEN | OF_OUR_OWN


@pytest.fixture(scope="module")
def checkpoints(tiny_folder):
    folder = tiny_folder.with_name("tiny-checkpoints")
    files = folder / "qwen", folder / "vjepa.pt", folder / "gazeqwen.pt"
    return Checkpoints(*files, vjepa_pixels=64, weights="trained")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Several wait for each other longer than they compute on tensors this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def oracle(checkpoints):
    """Read once: it reads the same files every time, and none of our code."""
    files = checkpoints.qwen, checkpoints.vjepa, checkpoints.vjepa_pixels, checkpoints.gaze
    return Oracle.read(*files, (1, 3, 5, 7))


def figures(checkpoints, folder, mode):
    """What an export of these checkpoints finds, one after the other."""
    kind, memory = MODES[mode]
    settings = Settings(live_height=3, live_width=4)
    builder = BundleBuilder(checkpoints, folder, "planted", settings, linears(kind))
    return builder.compare(memory)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("error", PLANTED)
def test_an_error_of_reading_is_found_and_named(
    error, mode, checkpoints, oracle, tmp_path, monkeypatch
):
    plant, line = PLANTED[error]
    monkeypatch.setattr(Oracle, "read", lambda *files: oracle)
    plant(monkeypatch)
    # Nothing is written: what ends before the graphs are looked at ends in every export.
    failed = (each.case for each in figures(checkpoints, tmp_path, mode) if not each.holds)
    said = []
    assert any(line in case for case in failed if said.append(case) is None), said

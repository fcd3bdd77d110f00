"""An error of reading is found whatever the precision, before anything is rounded."""

from functools import partial

import pytest
import torch
from planted_errors import OF_OUR_OWN, THE_FIFTEEN

import export.__main__ as export_command
from export.parity.reading.oracle import Oracle

MODES = {
    "float32": ("--quant", "float32"),
    "int4": ("--quant", "int4"),
    "int8": ("--quant", "int8"),
    "fp16": ("--quant", "fp16"),
    "layer by layer": ("--quant", "int4", "--parity-memory", "0"),
}
SOONEST = ("float32", "int4")
MARKED = [each if each in SOONEST else pytest.param(each, marks=pytest.mark.long) for each in MODES]
PLANTED = THE_FIFTEEN | OF_OUR_OWN


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Several wait for each other longer than they compute on tensors this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def files(tiny_folder):
    folder = tiny_folder.with_name("tiny-checkpoints")
    return folder / "qwen", folder / "vjepa.pt", 64, folder / "gazeqwen.pt"


@pytest.fixture(scope="module")
def oracle(files):
    """Read once: it reads the same files every time, and none of our code."""
    return Oracle.read(*files, (1, 3, 5, 7))


def until_named(named, compared, found, console):
    """The command's own loop, spared what comes after the error."""

    def heard():
        for figure in found:
            yield figure
            if not figure.holds and named in figure.case:
                return

    return compared(heard(), console)


@pytest.mark.parametrize("mode", MARKED)
@pytest.mark.parametrize("error", PLANTED)
def test_an_error_of_reading_is_found_and_named(
    error, mode, files, oracle, tmp_path, monkeypatch, capsys
):
    """That exports without an error hold in each of these modes is seen where they are made."""
    plant, named = PLANTED[error]
    monkeypatch.setattr(Oracle, "read", lambda *files: oracle)
    plant(monkeypatch)
    compared = partial(until_named, named, export_command._compared)
    monkeypatch.setattr(export_command, "_compared", compared)
    options = zip(("--qwen", "--vjepa", "--vjepa-pixels", "--gaze"), map(str, files), strict=True)
    given = [each for option in options for each in option]
    out = tmp_path / "out"
    assert export_command.main([*given, "--live-grid", "3x4", "--out", str(out), *MODES[mode]]) == 1
    failed = [line for line in capsys.readouterr().err.splitlines() if line.startswith("FAILS")]
    assert any(named in line for line in failed), failed
    assert not out.exists()

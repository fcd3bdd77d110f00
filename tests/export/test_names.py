"""Folders and names of every kind: what is printed is what was given, and no name is empty."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from export.__main__ import main
from runtime.bundle.manifest import Injection


class FakeBuilder:
    """Stands where a builder stands; remembers what it was to build."""

    injection = Injection((6, 13, 20, 27), "stated")
    built = SimpleNamespace()

    def __init__(self, checkpoints, folder, name, settings, linears, encoders):
        precision = linears.precision
        FakeBuilder.built = SimpleNamespace(
            checkpoints=checkpoints, folder=folder, name=name, precision=precision
        )

    def inspect(self, progress):
        progress("[/x]", 0.5)

    def write_graphs(self, progress):
        (self.built.folder / "bundle.json").touch()

    def compare_reading(self):
        return iter(())

    def compare(self, memory):
        return iter(())

    def sign(self, parity):
        pass


@pytest.fixture
def built(monkeypatch, tmp_path):
    monkeypatch.setattr("export.builder.BundleBuilder", FakeBuilder)
    (tmp_path / "place").mkdir()
    monkeypatch.chdir(tmp_path / "place")
    return FakeBuilder


@pytest.mark.parametrize("name", ["a [/x] b", "[bold]", "ein Bündel", "-", "a\\[b", "%s {x}"])
def test_a_folder_is_printed_as_it_is(built, capsys, name):
    given = ["--qwen", "q", "--vjepa", "v", "--gaze", "g", f"--out={name}"]
    assert main([*given, "--layers", "6,13,20,27"]) == 0
    errors = capsys.readouterr().err
    assert errors.splitlines()[-1] == f"{name}: 0 comparisons with PyTorch hold"
    assert "gaze enters after layers 6, 13, 20, 27: as --layers says" in errors
    assert built.built.name == Path(name).name
    assert built.built.checkpoints.layers == (6, 13, 20, 27)


@pytest.mark.parametrize(
    ("out", "name"), [(".", "place"), ("x/..", "place"), ("./y/", "y"), ("../place", "place")]
)
def test_random_checkpoints_lie_beside_a_folder_of_any_spelling(built, tmp_path, out, name):
    (tmp_path / "place" / "x").mkdir()
    assert main(["--random", "tiny", "--out", out]) == 0
    assert built.built.name == name
    beside = (tmp_path / "place" / out).resolve().with_name(f"{name}-checkpoints")
    assert built.built.checkpoints.qwen == beside / "qwen"
    assert (beside / "drawn.txt").is_file()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--random", "tiny", "--out", "/"],
        ["--random", "tiny", "--out", "a\udcffb"],
        ["--random", "tiny", "--out", "a\nb"],
        ["--random", "tiny", "--out", "a", "--name", "a\x1b[2J"],
        # What the bundle's manifest may not hold, and nobody would find out but at its opening:
        ["--random", "tiny", "--out", "a", "--name", "a" * 201],
        ["--random", "tiny", "--out", "a" * 201],
        ["--random", "tiny", "--out", "a", "--name", "a  b"],
        ["--random", "tiny", "--out", "a", "--name", " a"],
        ["--random", "tiny", "--out", "a", "--name", "a\u202eb"],
        ["--random", "tiny", "--out", "a", "--max-new-tokens", str(2**20 + 1)],
        ["--random", "tiny", "--out", "a", "--window", "3601"],
        ["--random", "tiny", "--out", "a", "--layers", "1,3,5,7"],
        *(
            ["--qwen", "q", "--vjepa", "v", "--gaze", "g", "--out", "a", f"--layers={layers}"]
            for layers in ("", "x", "6,13,20,27.0", "13,6,20,27", "6,6,13,20", "-1,2,3,4")
        ),
    ],
)
def test_what_can_not_be_a_name_or_layers_is_refused(built, tmp_path, capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: ") and errors.count("\n") == 1
    assert not list((tmp_path / "place").iterdir())


@pytest.mark.parametrize("grid", ["1025x3", "3x1025", "0x3", "3", "x", "3x4x5", "9" * 5000 + "x3"])
def test_a_grid_that_no_bundle_may_have_is_refused(built, tmp_path, capsys, grid):
    assert main(["--random", "tiny", "--out", "a", "--live-grid", grid]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("error: --live-grid ") and errors.count("\n") == 1
    assert len(errors) < 200 and not list((tmp_path / "place").iterdir())


@pytest.mark.parametrize(
    ("asked", "kind", "accumulation"),
    [
        (["--target", "cpu"], "int8", "int8"),
        (["--target", "cuda"], "int4", "float"),
        (["--target", "cpu", "--accumulate", "int8"], "int4", "int8"),
        (["--target", "cpu", "--quant", "int4"], "int4", "float"),
        (["--target", "cpu", "--quant", "float32"], "float32", "float"),
    ],
)
def test_what_is_not_asked_for_is_the_fastest_precision_of_the_target(
    built, asked, kind, accumulation
):
    given = ["--qwen", "q", "--vjepa", "v", "--gaze", "g", "--layers", "6,13,20,27"]
    assert main([*given, "--out", "out", *asked]) == 0
    assert (built.built.precision.kind, built.built.precision.accumulation) == (kind, accumulation)

"""The check of a machine: one line per finding, and an exit status that scripts can use."""

import shutil
from dataclasses import replace

import pytest

from runtime.bundle.opening import Bundle, read_manifest, write_manifest
from runtime.bundle.verification import (
    Identity,
    Verification,
    _Kept,
    _Verified,
    machine_name,
)
from runtime.check import (
    MemoryNeed,
    available_memory,
    comparison_findings,
    main,
    memory_finding,
    memory_need,
    self_test,
)
from runtime.engines.choice import Machine, choose_engine
from runtime.engines.gpu import Gpu
from runtime.run.command_line import MINI

SAME = Identity(1, 2, 3, 4, 5)
BARE = Machine(None, ("CPUExecutionProvider",), {})


def test_a_good_bundle_passes(tiny_folder, capsys):
    assert main([str(tiny_folder)], BARE) == 0
    lines = capsys.readouterr().out.splitlines()
    compared = [line for line in lines if line.startswith("ok   compared: ")]
    lines = [line for line in lines if line not in compared]
    kinds = [line.split()[1] for line in lines]
    assert kinds == [
        *("bundle:", "rounding:", "engine:", "memory:", "proof:"),
        *("encoding:", "prefill:", "gaze:", "decoding:"),
    ]
    assert all(line.startswith("ok ") for line in lines)
    assert "cpu: no NVIDIA GPU found" in lines[2]
    assert "5 graphs give here what PyTorch gave (10 comparisons; " in lines[4]


def test_it_says_what_the_export_compared_with_what(tiny_folder):
    manifest = Bundle.open(tiny_folder).manifest
    said = [finding.line for finding in comparison_findings(manifest)]
    for kind, told in (
        ("reading", "26 entries of config.json, as transformers"),
        ("reading", "16 adapted weights, as peft"),
        ("text", "questions, as transformers"),
        ("pictures", "the checkpoint's processor"),
        ("positions", "get_rope_index"),
        ("first layers", "a video of 3 steps"),
        ("graph decoder", "comparisons with PyTorch over the same weights; "),
    ):
        assert any(line.startswith(f"compared: {kind}: ") and told in line for line in said)
    assert said[-1].startswith("rounding: apart from all that, float32 changes")


def test_a_bundle_that_was_compared_less_says_so(tiny_folder):
    manifest = Bundle.open(tiny_folder).manifest
    graphs = tuple(figure for figure in manifest.parity if figure.graph in manifest.graphs)
    (line, *_) = (each.line for each in comparison_findings(replace(manifest, parity=graphs)))
    assert "not compared with transformers' reading" in line


def test_an_altered_bundle_fails_in_one_line(tiny_folder, tmp_path, capsys):
    folder = shutil.copytree(tiny_folder, tmp_path / "bundle")
    (folder / "vision.onnx").write_bytes(b"x")
    assert main([str(folder)], BARE) == 1
    assert capsys.readouterr().out.startswith("FAIL ")


def test_a_file_that_rotted_in_silence_is_found(tmp_path, capsys, monkeypatch):
    """Nothing about the file tells of it but its content: every check hashes."""
    folder = shutil.copytree(MINI, tmp_path / "bundle")
    spec = read_manifest(folder).files["vision.onnx.data"]
    known = _Kept(machine_name(), {"vision.onnx.data": _Verified(SAME, spec.sha256)})
    monkeypatch.setattr(Verification, "_read", lambda verification: known)
    monkeypatch.setattr(Identity, "of", lambda path: SAME)
    with (folder / "vision.onnx.data").open("r+b") as file:
        file.seek(1000)
        file.write(b"rot")
    Bundle.open(folder)
    assert main([str(folder)], BARE) == 1
    assert "vision.onnx.data was altered" in capsys.readouterr().out


def test_a_missing_engine_fails(tiny_folder, capsys):
    assert main([str(tiny_folder), "--engine", "cuda"], BARE) == 1
    assert "FAIL --engine cuda: no NVIDIA GPU found" in capsys.readouterr().out


def test_a_gpu_with_too_little_free_is_found_before_anything_is_loaded(
    tiny_folder, tmp_path, capsys
):
    manifest = replace(read_manifest(tiny_folder), target="cuda")
    folder = shutil.copytree(tiny_folder, tmp_path / "bundle")
    write_manifest(folder, manifest)
    gpu, trial = Gpu("small", "8.6", 1 << 40, free=1000), lambda bundle, settings: None
    machine = Machine(gpu, ("CUDAExecutionProvider",), {}, trial)
    assert main([str(folder), "--engine", "cuda"], machine) == 1
    assert "FAIL memory" in capsys.readouterr().out.splitlines()[-1]


def test_memory_is_counted_from_the_manifest(tiny_folder):
    manifest = Bundle.open(tiny_folder).manifest
    need = memory_need(manifest, tokens=100)
    # 2 contexts x keys and values x 8 layers x 100 tokens x 2 heads x 16 x 4 bytes
    assert need.contexts == 2 * 2 * 8 * 100 * 2 * 16 * 4
    assert need.weights == sum(path.stat().st_size for path in tiny_folder.glob("*.onnx*"))


@pytest.mark.parametrize(("available", "good"), [(None, True), (6, True), (5, False)])
def test_fitting(available, good):
    assert memory_finding(MemoryNeed(1, 2, 3), available).good is good


def test_what_the_system_keeps_of_files_is_there_for_a_bundle(tiny_folder, tmp_path):
    """Right after a bundle was copied nearly all memory holds its pages, and none is free."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 8000 kB\nMemFree: 100 kB\nMemAvailable: 7000 kB\n")
    choice = choose_engine("cpu", Bundle.open(tiny_folder), BARE)
    assert available_memory(choice, BARE, meminfo) == 7000 * 1024
    assert available_memory(choice, BARE, tmp_path / "none") is None


def test_injection_that_is_lost_is_found(tiny_models, monkeypatch):
    monkeypatch.setattr(tiny_models, "residuals", lambda scene, encoding: None)
    found = {finding.line.split(":")[0]: finding.good for finding in self_test(tiny_models)}
    assert found["gaze"] is False
    assert found["prefill"] is True


def test_the_change_that_the_bundle_asks_for_is_kept_to(tiny_models, monkeypatch):
    manifest = tiny_models.bundle.manifest
    figures = tuple(
        replace(figure, bound=1e9) if figure.must_change else figure for figure in manifest.parity
    )
    bundle = replace(tiny_models.bundle, manifest=replace(manifest, parity=figures))
    monkeypatch.setattr(tiny_models, "bundle", bundle)
    found = {finding.line.split(":")[0]: finding.good for finding in self_test(tiny_models)}
    assert found["gaze"] is False

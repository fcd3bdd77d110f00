"""A bundle that can't be trusted is refused in one line that says why."""

import json
import shutil

import pytest

from runtime.bundle.manifest import ParityFigure
from runtime.bundle.opening import Bundle, read_manifest, write_manifest
from runtime.errors import BundleError


@pytest.fixture
def bundle(tiny_folder, tmp_path):
    return shutil.copytree(tiny_folder, tmp_path / "bundle")


def refusal(folder, **options):
    with pytest.raises(BundleError) as caught:
        Bundle.open(folder, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_whole_bundle_opens_again_and_again(bundle):
    first = Bundle.open(bundle)
    assert Bundle.open(bundle).manifest == first.manifest
    assert Bundle.open(bundle, rehash=True).manifest == first.manifest


def test_missing_folder(tmp_path):
    assert "no such bundle" in refusal(tmp_path / "nothing")


def test_folder_without_manifest_is_no_bundle(bundle):
    (bundle / "bundle.json").unlink()
    assert "not a bundle" in refusal(bundle)


@pytest.mark.parametrize("name", ["decoder.onnx", "decoder.onnx.data", "tokenizer.json"])
def test_missing_file(bundle, name):
    (bundle / name).unlink()
    assert f"{name} is missing" in refusal(bundle)


def test_truncated_file(bundle):
    path = bundle / "vision.onnx.data"
    path.write_bytes(path.read_bytes()[:-100])
    assert "vision.onnx.data" in refusal(bundle)
    assert "truncated" in refusal(bundle)


def test_altered_file_of_the_same_size(bundle):
    Bundle.open(bundle)  # its hashes are remembered, and must not hide the change
    path = bundle / "decoder.onnx.data"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    assert "decoder.onnx.data was altered" in refusal(bundle)


def test_altered_file_with_its_old_time_is_found_by_rehashing(bundle):
    import os

    Bundle.open(bundle)
    path = bundle / "embeddings.npy"
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "embeddings.npy was altered" in refusal(bundle, rehash=True)


def test_altered_manifest(bundle):
    path = bundle / "bundle.json"
    content = json.loads(path.read_text())
    content["geometry"]["resampler"]["injected_layers"] = [1, 3, 6]
    path.write_text(json.dumps(content))
    assert "altered" in refusal(bundle)


def test_damaged_manifest(bundle):
    path = bundle / "bundle.json"
    path.write_bytes(path.read_bytes()[:200])
    assert "damaged" in refusal(bundle)


@pytest.mark.parametrize(("version", "advice"), [(5, "update this program"), (3, "export")])
def test_another_format(bundle, version, advice):
    path = bundle / "bundle.json"
    content = json.loads(path.read_text())
    content["format"] = version
    path.write_text(json.dumps(content))
    assert f"format {version}" in refusal(bundle)
    assert advice in refusal(bundle)


def test_a_bundle_that_failed_its_parity_is_not_run(bundle):
    from dataclasses import replace

    manifest = read_manifest(bundle)
    failed = ParityFigure("decoder", "logits, with gaze", 0.5, 1e-4)
    write_manifest(bundle, replace(manifest, parity=(*manifest.parity, failed)))
    assert "failed the comparison with PyTorch" in refusal(bundle)


def test_a_manifest_lists_what_it_was_made_of(tiny_folder):
    manifest = read_manifest(tiny_folder)
    assert manifest.provenance.weights == "random"
    assert {"vjepa", "gaze", "qwen/config.json"} <= set(manifest.provenance.checkpoints)
    assert manifest.parity and all(figure.holds for figure in manifest.parity)
    inputs = {spec.name: spec for spec in manifest.graphs["decoder"].inputs}
    assert inputs["residuals"].shape == (3, "residual_tokens", 64)
    assert inputs["past_key.0"].shape == (1, 2, "capacity", 16)

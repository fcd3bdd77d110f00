"""Re-signed nonsense: whatever a bundle's maker wrote, it is one clear line."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from runtime.bundle import names
from runtime.bundle.manifest import FileSpec
from runtime.bundle.opening import Bundle, read_manifest, write_manifest
from runtime.bundle.verification import file_spec
from runtime.errors import BundleError

MINI = Path(names.__file__).parents[1] / "mini"


@pytest.fixture
def bundle(tmp_path):
    return shutil.copytree(MINI, tmp_path / "bundle")


def refusal(folder, read=Bundle.open):
    with pytest.raises(BundleError) as caught:
        read(folder)
    message = str(caught.value)
    assert message.isprintable() and len(message) < 400 + len(str(folder))
    return message


def sign_again(folder, **changes):
    """As one would who wants a changed bundle to pass: every hash and the digest are right."""
    manifest = read_manifest(MINI)
    found = {name: file_spec(folder / name) for name in manifest.files if (folder / name).is_file()}
    write_manifest(folder, replace(manifest, **{"files": manifest.files | found, **changes}))


def changed(part, **fields):
    """A part of the geometry with other sizes."""
    geometry = read_manifest(MINI).geometry
    return replace(geometry, **{part: replace(getattr(geometry, part), **fields)})


@pytest.mark.parametrize(
    ("part", "fields", "said"),
    [
        ("decoder", {"layers": 10**9}, "decoder.layers is 1000000000"),
        ("decoder", {"layers": -1}, "decoder.layers is -1"),
        ("decoder", {"heads": 3}, "3 heads"),
        ("decoder", {"mrope_section": (4, 6, -6)}, "mrope_section"),
        ("decoder", {"rope_theta": 0.0}, "rope_theta"),
        ("decoder", {"layers": 7}, "inputs are not those of this graph"),
        ("decoder", {"width": 256}, "residuals has the shape"),
        ("decoder", {"vocabulary": 553}, "within 0 to 552|logits has the shape"),
        ("vision", {"merge": 0}, "vision.merge is 0"),
        ("vision", {"window": 50}, "holds no whole tokens"),
        ("vision", {"window": 112}, "window_order has the shape"),
        ("vision", {"temporal_patch": 1}, "1 frames at a time"),
        ("vjepa", {"frames": 0}, "vjepa.frames is 0"),
        ("vjepa", {"side": 24}, "row_pixels has the shape|tubelet_features has the shape"),
        ("vjepa", {"width": 65}, "tubelet_features has the shape"),
        ("vjepa", {"tubelets": 16}, "16 tubelets of 16 frames"),
        ("resampler", {"injected_layers": (0, 2, 6)}, "injected layers"),
        ("resampler", {"injected_layers": ()}, "injected layers"),
        ("resampler", {"injected_layers": (2, 1, 0)}, "injected layers"),
        ("resampler", {"injected_layers": (0, 1)}, "has the shape"),
        ("resampler", {"pruned_layer": -1}, "pruned layer"),
        ("resampler", {"pruned_layer": 0}, "pruned layer"),
        ("resampler", {"width": 63}, "can't be halved"),
    ],
)
def test_sizes_that_no_model_has_or_not_this_one(tmp_path, part, fields, said):
    sign_again(tmp_path, geometry=changed(part, **fields))
    message = refusal(tmp_path, read_manifest)
    assert any(each in message for each in said.split("|")), message


@pytest.mark.parametrize(
    "fields",
    [
        {"live_height": 0},
        {"live_width": 10**9},
        {"window": -30.0},
        {"window": 1e300},
        {"dispersion_radius": 0.0},
        {"min_open": -0.1},
        {"gaze_age_limit": 0.0},
        {"max_new_tokens": 0},
    ],
)
def test_settings_that_no_run_can_have(tmp_path, fields):
    sign_again(tmp_path, settings=replace(read_manifest(MINI).settings, **fields))
    assert f"settings.{next(iter(fields))} is" in refusal(tmp_path, read_manifest)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"before_video": (1, 10**9)}, "prompt.before_video is 1000000000"),
        ({"before_answer": ()}, "prompt.before_answer has 0 tokens"),
        ({"stop": (-1,)}, "prompt.stop is -1"),
        ({"letters": {"A": 1, "B": 2, "C": 3}}, "no token for the letter D"),
        ({"letters": {"A": 1, "B": 2, "C": 3, "D": 4, "\x1b[2J": 5}}, "a letter"),
        ({"after_video": (1,) * 5000}, "5000 tokens"),
    ],
)
def test_a_prompt_of_no_tokens_or_of_others(tmp_path, fields, said):
    sign_again(tmp_path, prompt=replace(read_manifest(MINI).prompt, **fields))
    assert said in refusal(tmp_path, read_manifest)


@pytest.mark.parametrize(
    "name", ["../vision.onnx", "/etc/passwd", "a\\b", "..", "", "a\x00b", "ä" * 999]
)
def test_paths_that_leave_the_folder(tmp_path, name):
    manifest = read_manifest(MINI)
    files = {**manifest.files, name: FileSpec(3, "0" * 64)}
    sign_again(tmp_path, files=files)
    assert "does not lie in the bundle" in refusal(tmp_path, read_manifest)


def test_a_link_out_of_the_bundle(bundle, tmp_path):
    elsewhere = tmp_path / "elsewhere.data"
    (bundle / "vision.onnx.data").rename(elsewhere)
    (bundle / "vision.onnx.data").symlink_to(elsewhere)
    assert "vision.onnx.data is a link out of the bundle" in refusal(bundle)


def test_links_in_a_circle(bundle):
    (bundle / "vision.onnx.data").unlink()
    (bundle / "vision.onnx.data").symlink_to("vision.onnx.data")
    refusal(bundle)


@pytest.mark.parametrize("content", ["{}", "[]", "", "[" * 200_000, '{"model": null}', "\x00"])
def test_a_tokenizer_that_is_none(bundle, content):
    (bundle / names.TOKENIZER_FILE).write_text(content)
    sign_again(bundle)
    with pytest.raises(BundleError, match="no tokenizer") as caught:
        Bundle.open(bundle).tokenizer  # noqa: B018
    assert str(caught.value).isprintable()


def test_a_tokenizer_with_more_tokens_than_there_are_embeddings(bundle):
    path = bundle / names.TOKENIZER_FILE
    content = json.loads(path.read_text())
    content["added_tokens"].append({**content["added_tokens"][-1], "id": 554, "content": "<more>"})
    path.write_text(json.dumps(content))
    sign_again(bundle)
    with pytest.raises(BundleError, match="largest token is 554"):
        Bundle.open(bundle).tokenizer  # noqa: B018


@pytest.mark.parametrize(
    "content", [b"", b"\x93NUMPY\x01\x00\xff\xff{", b"PK\x03\x04", b"\x80\x04."]
)
def test_embeddings_that_are_no_array(bundle, content):
    (bundle / names.EMBEDDINGS_FILE).write_bytes(content)
    sign_again(bundle)
    assert "embeddings.npy: not an array" in refusal(bundle)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((554, 127), np.float32),
        np.zeros((554, 128), np.int64),
        np.zeros((554, 128), np.uint8),
    ],
)
def test_embeddings_of_another_shape_or_type(bundle, array):
    np.save(bundle / names.EMBEDDINGS_FILE, array)
    sign_again(bundle)
    assert "no embeddings of (554, 128)" in refusal(bundle)


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 200_000,
        b'{"format": 1, "x": ' + b"[" * 200_000,
        b'{"format": 1, "name": ' + b'{"a":' * 200_000,
        b'{"format": NaN}',
        b'{"format": 1e999}',
        b'{"format": ' + b"9" * 5000 + b"}",
        b'{"format": "1"}',
        b'{"format": 1, "name": "\\ud800"}',
        b'{"format": 1, "name": "\xff"}',
        b"",
        b"\x00" * 100,
    ],
)
def test_a_manifest_that_is_no_json(tmp_path, content):
    (tmp_path / names.MANIFEST_FILE).write_bytes(content)
    refusal(tmp_path, read_manifest)


def test_a_manifest_without_end(tmp_path):
    sign_again(tmp_path)
    with (tmp_path / names.MANIFEST_FILE).open("ab") as file:
        file.truncate(1 << 40)  # a hole: it takes no room
    assert "more than" in refusal(tmp_path, read_manifest)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_numbers_that_are_none(tmp_path, number):
    sign_again(tmp_path)
    path = tmp_path / names.MANIFEST_FILE
    path.write_text(path.read_text().replace('"window": 30.0', f'"window": {number}'))
    assert "damaged" in refusal(tmp_path, read_manifest)


def with_external(model, location):
    """The model with one more tensor, that lies in a file beside it."""
    tensor = onnx.TensorProto(name="more", data_type=1, dims=[1], data_location=1)
    tensor.external_data.add(key="location", value=location)
    return model, tensor


def in_the_graph(model, tensor):
    model.graph.initializer.append(tensor)


def in_a_constant(model, tensor):
    node = model.graph.node.add(op_type="Constant", output=["more"])
    node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(tensor)


def in_a_branch(model, tensor):
    node = model.graph.node.add(op_type="If", input=["x"], output=["y"])
    branch = node.attribute.add(name="then_branch", type=onnx.AttributeProto.GRAPH).g
    branch.initializer.append(tensor)


def in_a_function(model, tensor):
    node = model.functions.add(name="f", domain="g").node.add(op_type="Constant", output=["more"])
    node.attribute.add(name="values", type=onnx.AttributeProto.TENSORS).tensors.append(tensor)


def in_a_sparse_tensor(model, tensor):
    model.graph.sparse_initializer.add().values.CopyFrom(tensor)


@pytest.mark.parametrize(
    "hide", [in_the_graph, in_a_constant, in_a_branch, in_a_function, in_a_sparse_tensor]
)
@pytest.mark.parametrize("location", ["secret.data", "../secret.data", "/etc/passwd"])
def test_weights_outside_the_listed_files_are_refused(bundle, hide, location):
    (bundle / "secret.data").write_bytes(bytes(4))
    path = bundle / "vision.onnx"
    model = onnx.load(path, load_external_data=False)
    hide(*with_external(model, location))
    path.write_bytes(model.SerializeToString())
    sign_again(bundle)
    assert f"{location}', which is none of the bundle's files" in refusal(bundle)


def test_a_graph_with_other_inputs_than_the_manifest_gives(bundle):
    path = bundle / "vision.onnx"
    model = onnx.load(path, load_external_data=False)
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 64
    path.write_bytes(model.SerializeToString())
    sign_again(bundle)
    assert "not those that bundle.json gives for vision" in refusal(bundle)


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 100, b"\x3a\xff\x01", b"graph", b"\x3a\x02\x2a\x05"]
)
def test_a_graph_that_is_none(bundle, content):
    (bundle / "vision.onnx").write_bytes(content)
    sign_again(bundle)
    assert "vision.onnx" in refusal(bundle)

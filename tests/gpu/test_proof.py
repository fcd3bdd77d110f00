"""Reference vectors on a real GPU provider: what it computes right, and what it does not.

This device has 8 lanes, and its attention of several rows is wrong beyond as many keys: it has to
prefill token by token. What runs so is right.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from software_gpu import ROOT

from runtime.bundle.manifest import VISION
from runtime.bundle.opening import read_manifest, write_manifest
from runtime.bundle.verification import file_spec
from runtime.run.command_line import MINI

pytestmark = pytest.mark.software_gpu
PROGRAM = Path(__file__).with_name("proving.py")
DEMO = ("-m", "runtime.live", "--fast", "--seed", "7")


@pytest.fixture(scope="module")
def found(gpu):
    return json.loads(gpu.python(PROGRAM, MINI).splitlines()[-1])


def test_encoders_and_residuals_are_right(found):
    graphs = {graph for graph, *_ in found["figures"]}
    assert graphs == {"vjepa", "vision", "resampler.scene", "resampler.gaze", "decoder"}
    for graph, case, difference, bound in found["figures"]:
        if graph != "decoder":
            assert difference <= bound / 4, (graph, case)


def test_attention_that_is_wrong_beyond_the_lanes_is_found(found):
    decoder = [figure for figure in found["figures"] if figure[0] == "decoder"]
    assert all(difference > bound for *_, difference, bound in decoder)
    assert all(difference <= bound / 4 for *_, difference, bound in found["one_by_one"])


def test_contexts_by_turns_and_rewound_are_exact(found):
    assert found["streams"]["alone"] <= 1e-5
    assert found["streams"]["cpu"] <= 1e-4


def test_no_tensor_of_a_frame_visits_the_host(found):
    assert found["fetched"] == 0


def with_a_convolution(folder):
    """Mini with the patch embedding as a Conv over six channels instead of a product."""
    onnx = pytest.importorskip("onnx")
    shutil.copytree(MINI, folder)
    path = folder / f"{VISION}.onnx"
    model = onnx.load(path)
    graph = model.graph
    (weight,) = (each for each in graph.initializer if each.name == "patch_embed.weight")
    kernel = onnx.numpy_helper.to_array(weight).T.reshape(-1, 6, 14, 14)
    weight.CopyFrom(onnx.numpy_helper.from_array(kernel.copy(), weight.name))
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1, 6, 28, 28]), "planes"))
    (place,) = (at for at, node in enumerate(graph.node) if node.output[0] == "patches.parts")
    node, nodes, stride = onnx.helper.make_node, list(graph.node), [14, 14]
    # From (tokens, merge, patch, merge, patch, frames, channels), columns before rows.
    nodes[place : place + 3] = [
        node("Transpose", ["pixels.parts"], ["stacked"], perm=[0, 6, 5, 3, 4, 1, 2]),
        node("Reshape", ["stacked", "planes"], ["cells"]),
        node("Conv", ["cells", weight.name], ["embedded"], kernel_shape=stride, strides=stride),
        node("Transpose", ["embedded"], ["grouped"], perm=[0, 2, 3, 1]),
        node("Reshape", ["grouped", "shape.tokens"], ["tokens.0"]),
    ]
    del graph.node[:]
    graph.node.extend(nodes)
    names = (f"{VISION}.onnx", f"{VISION}.onnx.data")
    (folder / names[1]).unlink()
    onnx.save(model, path, save_as_external_data=True, location=names[1])
    manifest = read_manifest(MINI)
    files = {**manifest.files, **{name: file_spec(folder / name) for name in names}}
    write_manifest(folder, replace(manifest, files=files))
    return folder


def test_a_convolution_that_is_wrong_is_found_in_a_bundle(gpu, tmp_path):
    folder = with_a_convolution(tmp_path / "mini")
    check = ("-m", "runtime.check", folder, "--engine")
    here = subprocess.run(
        [sys.executable, *check, "cpu"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert here.returncode == 0, here.stdout
    said = gpu.python(*check, "webgpu", cache=tmp_path, fails=True).splitlines()[-1]
    assert said.startswith("FAIL --engine webgpu: webgpu computes wrong here (vision: visual ")


def judged(path):
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return [record for record in records if record["kind"] in ("answer", "alert")]


def test_the_demo_answers_as_on_the_cpu(gpu, tmp_path):
    """Steps, answers and alerts of half a minute, every tensor on the device in between."""
    here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    said = gpu.python(*DEMO, "--engine", "webgpu", "--record", there, cache=tmp_path)
    assert "prefills one token at a time" in " ".join(said.split())
    subprocess.run([sys.executable, *DEMO, "--record", here], cwd=ROOT, check=True)
    ours, theirs = judged(here), judged(there)
    assert len(ours) >= 6
    assert [(r["kind"], r["answer"]) for r in theirs] == [(r["kind"], r["answer"]) for r in ours]
    for one, other in zip(ours, theirs, strict=True):
        assert "webgpu" in other["engine"]
        assert other["probabilities"] == pytest.approx(one["probabilities"], abs=1e-4)


def test_auto_goes_on_to_the_cpu_and_says_why(gpu, tmp_path):
    said = gpu.python("-m", "runtime.check", MINI, cache=tmp_path)
    told = "engine: cpu: no NVIDIA GPU found; webgpu computes wrong here (decoder: logits, prefill"
    assert told in " ".join(said.split())

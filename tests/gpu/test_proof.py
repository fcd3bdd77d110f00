"""Reference vectors on a real GPU provider: what it computes right, and what it does not.

This device has 8 lanes. The attention of the provider that is built in, the older one, is wrong for
several rows beyond as many keys: it has to prefill token by token. That of the plugin is wrong for
32 rows and more, and right for fewer.
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

from runtime.bundle.names import VISION
from runtime.bundle.opening import read_manifest, write_manifest
from runtime.bundle.verification import file_spec
from runtime.run.command_line import MINI

pytestmark = pytest.mark.software_gpu
PROGRAM = Path(__file__).with_name("proving.py")
DEMO = ("-m", "runtime.live", "--fast", "--seed", "7")


def proven(gpu):
    return json.loads(gpu.python(PROGRAM, MINI).splitlines()[-1])


@pytest.fixture(scope="module")
def built_in(gpu):
    return proven(gpu)


@pytest.fixture(scope="module")
def newer(plugin):
    return proven(plugin)


@pytest.fixture(scope="module", params=["built_in", "newer"])
def found(request):
    return request.getfixturevalue(request.param)


def test_encoders_and_residuals_are_right(found):
    graphs = {graph for graph, *_ in found["figures"]}
    assert graphs == {"vjepa", "vision", "resampler.scene", "resampler.gaze", "decoder"}
    for graph, case, difference, bound in found["figures"]:
        if graph != "decoder":
            assert difference <= bound / 4, (graph, case)


def of_decoder(found):
    return {case: off / bound for graph, case, off, bound in found["figures"] if graph == "decoder"}


def test_attention_that_is_wrong_beyond_the_lanes_is_found(built_in):
    assert min(of_decoder(built_in).values()) > 1


def test_attention_that_is_wrong_for_many_rows_is_found(newer):
    assert of_decoder(newer)["logits, prefill"] > 1
    in_few = [off / bound for *_, off, bound in newer["in_few_rows"]]
    assert max(in_few) <= 1 / 4


def test_tokens_prefilled_one_at_a_time_are_right(found):
    assert all(difference <= bound / 4 for *_, difference, bound in found["one_by_one"])


def test_contexts_by_turns_and_rewound_are_exact(found):
    assert found["streams"]["alone"] <= 1e-5
    assert found["streams"]["cpu"] <= 1e-4


def test_a_device_that_is_lost_is_said_and_the_cpu_goes_on(found):
    lost = found["lost"]
    assert len(lost["said"]) == 1
    assert lost["said"][0].startswith("engine   webgpu was lost (WebGPU can't run it: device lost)")
    assert lost["told"] == "what lay on the device that was lost is gone"
    assert lost["off"] == 0


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


@pytest.fixture(scope="module")
def on_the_cpu(tmp_path_factory):
    here = tmp_path_factory.mktemp("cpu") / "here.jsonl"
    subprocess.run(
        [sys.executable, *DEMO, "--record", here], cwd=ROOT, check=True, capture_output=True
    )
    return judged(here)


@pytest.mark.parametrize(
    ("provider", "how"),
    [("gpu", "prefills one token at a time"), ("plugin", "prefills 15 tokens at a time")],
)
def test_the_demo_answers_as_on_the_cpu(request, on_the_cpu, tmp_path, provider, how):
    """Steps, answers and alerts of half a minute, every tensor on the device in between."""
    gpu, there = request.getfixturevalue(provider), tmp_path / "there.jsonl"
    said = gpu.python(*DEMO, "--engine", "webgpu", "--record", there, cache=tmp_path)
    assert how in " ".join(said.split())
    ours, theirs = on_the_cpu, judged(there)
    assert len(ours) >= 6
    assert {record["kind"] for record in ours} == {"answer", "alert"}
    assert [(r["kind"], r["answer"]) for r in theirs] == [(r["kind"], r["answer"]) for r in ours]
    for one, other in zip(ours, theirs, strict=True):
        assert "webgpu" in other["engine"]
        assert other["probabilities"] == pytest.approx(one["probabilities"], abs=1e-4)


@pytest.mark.parametrize("provider", ["gpu", "plugin"])
def test_auto_goes_on_to_the_cpu_and_says_why(request, tmp_path, provider):
    gpu = request.getfixturevalue(provider)
    said = gpu.python("-m", "runtime.check", MINI, cache=tmp_path)
    told = "engine: cpu: no NVIDIA GPU found; webgpu computes wrong here (decoder: logits, prefill "
    assert f"{told}off by" in " ".join(said.split())


def test_a_plugin_that_finds_no_gpu_leaves_the_cpu(plugin, tmp_path):
    """It is registered, and there is no device: as on any machine without one."""
    blind = replace(plugin, seen=False)
    said = blind.python("-m", "runtime.check", MINI, cache=tmp_path)
    assert "engine: cpu: no NVIDIA GPU found" in said
    asked = ("-m", "runtime.check", MINI, "--engine", "webgpu")
    said = blind.python(*asked, cache=tmp_path, fails=True).splitlines()
    assert said[-1].startswith("FAIL --engine webgpu: no WebGPU provider here finds a device")

"""Sessions on CUDA, with an ONNX Runtime that says and does what one on a GPU would."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

from runtime.bundle.opening import Bundle
from runtime.engines.cuda import PROVIDER, UNLIMITED, CudaEngine, CudaSettings, GraphRules
from runtime.engines.device_engine import strays
from runtime.errors import EngineError
from runtime.run.command_line import MINI

GRAPH = "resampler.scene"


@pytest.fixture(scope="module")
def bundle():
    there = Bundle.open(MINI)
    return replace(there, manifest=replace(there.manifest, target="cuda"))


class Session:
    """A CPU's session under another name. `fails`: what a run raises."""

    def __init__(self, session, providers, fails=None):
        self._session, self._providers, self._fails = session, providers, fails

    def get_providers(self):
        return self._providers

    def run_with_iobinding(self, binding):
        if self._fails:
            raise RuntimeError(self._fails)
        self._session.run_with_iobinding(binding)

    def __getattr__(self, name):
        return getattr(self._session, name)


class Simulated:
    """ONNX Runtime as installed with CUDA."""

    def __init__(self, opening=None, running=None, providers=(PROVIDER, "CPUExecutionProvider")):
        self.opening, self.running, self.providers = opening, running, list(providers)
        self.preloaded, self.options, self.asked = 0, None, None
        self.SessionOptions = onnxruntime.SessionOptions

    def preload_dlls(self):
        self.preloaded += 1

    def get_available_providers(self):
        return [PROVIDER, "CPUExecutionProvider"]

    def InferenceSession(self, path, options, providers):
        assert self.preloaded
        self.options, self.asked = options, providers
        if self.opening:
            raise RuntimeError(self.opening)
        refuse_what_contradicts_itself(path, options, providers)
        plain = onnxruntime.SessionOptions()
        plain.enable_profiling = options.enable_profiling
        plain.profile_file_prefix = options.profile_file_prefix
        session = onnxruntime.InferenceSession(path, plain, providers=["CPUExecutionProvider"])
        return Session(session, self.providers, self.running)


def refuse_what_contradicts_itself(path, options, providers):
    """As the real ONNX Runtime does, whatever provider it has."""
    there = [each for each in providers if each in onnxruntime.get_available_providers()]
    try:
        onnxruntime.InferenceSession(path, options, providers=there)
    except Exception as error:
        if "Conflicting session configuration" in str(error):
            raise


def opened(bundle, module, graph=GRAPH, rules=None, settings=UNLIMITED):
    rules = rules or GraphRules.of(bundle.manifest, graph)
    return CudaEngine(bundle.graph_path(graph), rules, settings, module)


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("CUDA error: no kernel image is available for execution on the device", "wheel built"),
        ("Failed to allocate memory for requested buffer of size 4096", "memory does not suffice"),
        ("libcudnn.so.9: cannot open shared object file: No such file", "[gpu]"),
        ("CUDA failure 35: CUDA driver version is insufficient", "update the driver"),
        (
            "This session contains graph nodes that are assigned to the default CPU EP, but "
            "fallback to CPU EP has been explicitly disabled by the user.",
            "export the bundle with --target cuda",
        ),
    ],
)
@pytest.mark.parametrize("when", ["opening", "running"])
def test_what_goes_wrong_is_one_line_that_says_what_to_do(bundle, said, advice, when):
    with pytest.raises(EngineError) as caught:
        engine = opened(bundle, Simulated(**{when: f"[ONNXRuntimeError] : 1 : {said}\nmore"}))
        engine._place = onnxruntime_place()
        engine.run(scene_inputs(bundle))
    assert advice in str(caught.value) and "\n" not in str(caught.value)
    assert GRAPH in str(caught.value)


def onnxruntime_place():
    from runtime.engines.tensors import HOST

    return HOST


def scene_inputs(bundle):
    sizes = {"height": 3, "width": 4, "wanted": 2}
    return {
        spec.name: np.ones([sizes.get(axis, axis) for axis in spec.shape], np.float32)
        for spec in bundle.manifest.graphs[GRAPH].inputs
    }


def test_an_unknown_failure_is_told_as_it_is_said(bundle):
    with pytest.raises(EngineError, match=r"can't load resampler\.scene\.onnx: something else$"):
        opened(bundle, Simulated(opening="something else\nTraceback"))


def test_a_session_that_silently_became_the_cpus_is_an_error(bundle):
    with pytest.raises(EngineError, match="took the CPU instead"):
        opened(bundle, Simulated(providers=["CPUExecutionProvider"]))


def test_what_a_session_is_asked_for(bundle):
    module = Simulated()
    opened(bundle, module, settings=CudaSettings(memory=1 << 30))
    ((_, options),) = module.asked
    assert options["arena_extend_strategy"] == "kSameAsRequested"
    assert options["cudnn_conv_algo_search"] == "HEURISTIC"
    assert options["gpu_mem_limit"] == str(1 << 30)
    entry = module.options.get_session_config_entry
    assert entry("session.use_device_allocator_for_initializers") == "1"
    assert entry("session.disable_cpu_ep_fallback") == "1"


@pytest.mark.parametrize(("kind", "fused"), [("int4", True), ("int4-mixed", True), ("fp16", False)])
def test_the_fused_products_are_asked_for_where_the_bundle_fits_them(bundle, kind, fused):
    quantization = replace(bundle.manifest.quantization, kind=kind)
    manifest = replace(bundle.manifest, quantization=quantization)
    assert ("ep.cuda.fpa_intb_gemm" in GraphRules.of(manifest, "decoder").entries) is fused
    assert "ep.cuda.fpa_intb_gemm" not in GraphRules.of(manifest, "vision").entries


def test_a_bundle_for_cpus_has_no_rules_on_cuda(bundle):
    with pytest.raises(EngineError, match="was exported for CPUs"):
        GraphRules.of(replace(bundle.manifest, target="cpu"), "decoder")


def test_a_node_on_the_cpu_that_the_bundle_does_not_list_is_named_at_the_first_run(bundle):
    rules = GraphRules(frozenset({"one that may"}), {})
    engine = opened(bundle, Simulated(), rules=rules)
    engine._place = onnxruntime_place()
    with pytest.raises(EngineError, match=r"nodes ran on the CPU .* first \w+ \(.+\)"):
        engine.run(scene_inputs(bundle))
    assert engine.run(scene_inputs(bundle))  # said once


def test_nodes_that_the_bundle_lists_may_be_on_the_cpu(bundle):
    path = bundle.graph_path(GRAPH)
    profile = profiled(path, scene_inputs(bundle))
    every = {line.partition("(")[2][:-1] for line in strays(profile, lambda node: False)}
    profile.unlink()
    assert len(every) > 5
    engine = opened(bundle, Simulated(), rules=GraphRules(frozenset(every), {}))
    engine._place = onnxruntime_place()
    assert engine.run(scene_inputs(bundle))


def profiled(path, inputs):
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    session.run(None, inputs)
    return Path(session.end_profiling())


def test_copies_between_the_two_and_nodes_of_the_gpu_are_no_strays(tmp_path):
    def event(name, operator, provider):
        facts = {"op_name": operator, "provider": provider}
        return {"cat": "Node", "name": f"{name}_kernel_time", "args": facts}

    events = [
        {"cat": "Session", "name": "model_run"},
        event("a", "MatMul", PROVIDER),
        event("b", "MemcpyToHost", "CPUExecutionProvider"),
        event("c", "Gather", "CPUExecutionProvider"),
        event("c", "Gather", "CPUExecutionProvider"),
        event("d", "Shape", "CPUExecutionProvider"),
    ]
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(events))
    assert strays(path, lambda node: node.name == "d") == ["Gather (c)"]


def test_without_preloading_an_old_onnxruntime_is_taken_as_it_is():
    from runtime.engines.cuda import load_libraries

    load_libraries(SimpleNamespace())

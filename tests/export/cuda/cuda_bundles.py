"""Bundles for CUDA made of what lies here, so that a CPU can tell what a GPU would be given."""

import shutil
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper

from export.checkpoints.qwen_config import DecoderGeometry
from export.graphs.decoder import DecoderEmitter, write_embeddings
from export.graphs.graph_writer import graph_spec
from export.graphs.kernels import check_kernels
from export.graphs.precision.narrowing import encoder_types, narrow
from export.graphs.precision.quantization import EMBEDDINGS, linears
from runtime.bundle.names import DECODER, EMBEDDINGS_FILE, GRAPHS, MANIFEST_FILE
from runtime.bundle.opening import Bundle, write_manifest
from runtime.bundle.verification import file_spec


class EmittedWeights:
    """The weights of an emitted float32 decoder, under their canonical names."""

    def __init__(self, folder):
        graph = onnx.load(folder / "decoder.onnx").graph
        arrays = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
        self._arrays = {
            name: array.astype(np.float32)
            for name, array in arrays.items()
            if array.dtype in (np.float16, np.float32)
        }
        self._arrays[EMBEDDINGS] = np.load(folder / EMBEDDINGS_FILE).astype(np.float32)

    def tensor(self, name, dtype=None):
        part, whole = name.rsplit(".", 1)
        if "self_attn" in name and part[-6:] in ("q_proj", "k_proj", "v_proj"):
            packed = self._arrays[f"{part[:-6]}qkv.{whole}"]
            kv = (packed.shape[-1] - self.width) // 2
            start = {"q": 0, "k": self.width, "v": self.width + kv}[part[-6]]
            end = start + (self.width if part[-6] == "q" else kv)
            return torch.from_numpy(np.ascontiguousarray(packed[..., start:end].T))
        if name == EMBEDDINGS:
            return torch.from_numpy(self._arrays[name])
        array = self._arrays.get(name, self._arrays.get(f"{name}.weight"))
        return torch.from_numpy(np.ascontiguousarray(array.T if array.ndim == 2 else array))


def for_cuda(source, folder, kind):
    """The float32 CPU bundle in `source` as one for CUDA in `folder`, its decoder of `kind`."""
    shutil.copytree(source, folder)
    (folder / MANIFEST_FILE).unlink()
    manifest = Bundle.open(source).manifest
    shape = manifest.geometry.decoder
    weights = EmittedWeights(source)
    weights.width = shape.heads * shape.head_dim
    layer = weights._arrays["layers.0.mlp.gate_proj.weight"]
    geometry = DecoderGeometry(
        **{
            field: getattr(shape, field)
            for field in DecoderGeometry.__dataclass_fields__
            if hasattr(shape, field)
        },
        **{
            "intermediate": layer.shape[1],
            "rms_epsilon": _epsilon(source),
            "tied": False,
        },
    )
    written = linears(kind, target="cuda")
    injected = manifest.geometry.resampler.injected_layers
    DecoderEmitter(weights, geometry, injected, written).emit(folder)
    write_embeddings(weights, folder / EMBEDDINGS_FILE, written.precision.table)
    types = encoder_types("cuda")
    for graph, encoder in types.items():
        narrow(folder / f"{graph}.onnx", encoder)
    unsigned = replace(
        manifest,
        target="cuda",
        encoders=types,
        host_nodes=check_kernels(folder, "cuda"),
        graphs={graph: graph_spec(folder, graph) for graph in GRAPHS},
        quantization=written.summary(),
        files={name: file_spec(folder / name) for name in manifest.files},
    )
    write_manifest(folder, unsigned)
    return folder


def _epsilon(source):
    graph = onnx.load(source / f"{DECODER}.onnx", load_external_data=False).graph
    (first,) = (node for node in graph.node if node.op_type == "SimplifiedLayerNormalization")
    return next(each.f for each in first.attribute if each.name == "epsilon")


def optimized(path, folder):
    """A graph as ONNX Runtime's optimizations leave it, those of the CPU's own layouts aside."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / path.name)
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return onnx.load(folder / path.name, load_external_data=False).graph

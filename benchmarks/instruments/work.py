"""What a stage has to do, counted in the graphs of a bundle: operations, and bytes of weights."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import onnx

from runtime.bundle.names import DECODER, VISION, VJEPA
from runtime.bundle.opening import Bundle
from runtime.inputs.clip_layout import wanted_tubelets

PRODUCTS = ("MatMul", "Gemm", "Conv", "DynamicQuantizeMatMul", "MatMulInteger")
PACKED = "MatMulNBits"
SOFTMAX = "Softmax"  # one in each block of V-JEPA


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights that are multiplied, by graph; those of the decoder's head apart, since most runs
    want no logits. `blocks`: of V-JEPA; `stored`: bytes of the decoder's files."""

    vjepa: int
    blocks: int
    vision: int
    decoder: int
    head: int
    stored: int

    @classmethod
    def of(cls, bundle: Bundle) -> Weights:
        """Count those of a bundle."""
        vocabulary = bundle.manifest.geometry.decoder.vocabulary
        vjepa, vision, decoder = (
            onnx.load(bundle.graph_path(graph), load_external_data=False).graph
            for graph in (VJEPA, VISION, DECODER)
        )
        head = sum(count for count, columns in _products(decoder) if columns == vocabulary)
        files = bundle.manifest.files.items()
        stored = sum(spec.size for name, spec in files if name.startswith(f"{DECODER}.onnx"))
        return cls(
            vjepa=_count(vjepa),
            blocks=sum(node.op_type == SOFTMAX for node in vjepa.node),
            vision=_count(vision),
            decoder=_count(decoder) - head,
            head=head,
            stored=stored,
        )


def vjepa_operations(bundle: Bundle, weights: Weights) -> int:
    """Of the clip of a step. Attention is over all tokens: 4 tokens^2 width in each block.

    In the last block only tokens that are read attend, and are multiplied by what follows.
    """
    shape = bundle.manifest.geometry.vjepa
    tokens = shape.tubelets * shape.side**2
    whole = 2 * tokens * weights.vjepa + weights.blocks * 4 * tokens**2 * shape.width
    unread = tokens - wanted_tubelets(shape, steps=1).size * shape.side**2
    return whole - unread * (4 * tokens * shape.width + 2 * 10 * shape.width**2)


def vision_operations(bundle: Bundle, weights: Weights) -> int:
    """Of a pair of frames, attention left out: in windows it is a few percent.

    The merger, 7 % of the weights, is counted as if it saw every patch, not a quarter of them.
    """
    settings, shape = bundle.manifest.settings, bundle.manifest.geometry.vision
    patches = settings.live_height * settings.live_width * shape.merge**2
    return 2 * patches * weights.vision


def decoder_operations(bundle: Bundle, weights: Weights, tokens: int, past: int, rows: int) -> int:
    """Of a run of `tokens` tokens after `past`, with the logits of `rows` of them."""
    shape = bundle.manifest.geometry.decoder
    attended = sum(range(past + 1, past + tokens + 1))
    attention = shape.layers * 4 * attended * shape.heads * shape.head_dim
    return 2 * tokens * weights.decoder + 2 * rows * weights.head + attention


def decoder_bytes(bundle: Bundle, weights: Weights, past: int) -> int:
    """Read for one token: the weights as they are stored, and the keys and values of `past`."""
    shape = bundle.manifest.geometry.decoder
    width = 4 if bundle.manifest.target == "cpu" else 2  # float32 or float16
    return weights.stored + past * 2 * shape.layers * shape.kv_heads * shape.head_dim * width


def _count(graph: onnx.GraphProto) -> int:
    return sum(count for count, _ in _products(graph))


def _products(graph: onnx.GraphProto) -> list[tuple[int, int]]:
    """The weights of every product with a constant matrix, and its columns."""
    shapes = {each.name: tuple(each.dims) for each in graph.initializer}
    found = []
    for node in graph.node:
        if node.op_type == PACKED:
            sizes = {each.name: each.i for each in node.attribute}
            found.append((sizes["K"] * sizes["N"], sizes["N"]))
        elif node.op_type in PRODUCTS:
            constant = [shapes[name] for name in node.input[:2] if len(shapes.get(name, ())) > 1]
            found += [(prod(shape), shape[-1]) for shape in constant]
    return found

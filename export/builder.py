"""Builds a bundle from checkpoints: graphs, embeddings, tokenizer, parity, last the manifest."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import Literal

import onnx
from tokenizers import Tokenizer

from export.checkpoints.common import CheckpointError, sha256
from export.checkpoints.gaze import GazeCheckpoint, check_fit, load_gaze
from export.checkpoints.qwen import QwenCheckpoint
from export.checkpoints.vjepa import load_vjepa
from export.graphs.decoder import DecoderEmitter, write_embeddings
from export.graphs.quantization import Linears
from export.graphs.traced import export_gaze_half, export_scene_half, export_vjepa
from export.graphs.vision import VisionEmitter
from export.graphs.weights import DecoderWeights, RoundedWeights
from export.journal import Journal
from export.modules.vjepa import VJepaEncoder
from export.parity.graphs import BriefEngine, check_decoder, check_graphs, graph_cases
from export.parity.layers import check_layers
from export.parity.reference import ReferenceModel
from runtime.bundle import manifest as names
from runtime.bundle.manifest import (
    DecoderShape,
    Geometry,
    GraphSpec,
    Manifest,
    ParityFigure,
    PositionRule,
    PromptPieces,
    Provenance,
    Quantization,
    ResamplerShape,
    Settings,
    TensorSpec,
    VisionShape,
    VJepaShape,
)
from runtime.bundle.opening import Bundle, write_manifest
from runtime.bundle.verification import file_spec
from runtime.model.models import Models

SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
BEFORE_VIDEO = SYSTEM + "<|vision_start|>"
AFTER_VIDEO = "<|vision_end|>"
BEFORE_ANSWER = "<|im_end|>\n<|im_start|>assistant\n"
STOPS = ("<|im_end|>", "<|endoftext|>")
LETTERS = "ABCDEFGH"
Share = Callable[[float], None]  # of a part that is done, from 0 to 1
Progress = Callable[[str, float], None]
TOOLS = ("torch", "transformers", "peft", "onnx", "onnxscript", "onnxruntime", "tokenizers")


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The files a bundle is made from, and whether their weights mean anything."""

    qwen: Path
    vjepa: Path
    gaze: Path
    vjepa_pixels: int
    weights: Literal["trained", "random"]


class BundleBuilder:
    """Builds one bundle in `folder`.

    Opening it reads and checks the checkpoints: CheckpointError for those that do not fit.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        folder: Path,
        name: str,
        settings: Settings,
        linears: Linears,
    ) -> None:
        self._sources = checkpoints
        self._folder = folder
        self._name = name
        self._settings = settings
        self._linears = linears
        self._qwen = QwenCheckpoint.open(checkpoints.qwen)
        self._vjepa: VJepaEncoder = load_vjepa(checkpoints.vjepa, checkpoints.vjepa_pixels)
        self._gaze: GazeCheckpoint = load_gaze(checkpoints.gaze)
        check_fit(self._gaze, self._qwen, self._vjepa)
        self._weights = DecoderWeights(self._qwen, self._gaze)
        self._tokenizer_file = checkpoints.qwen / names.TOKENIZER_FILE
        if not self._tokenizer_file.is_file():
            raise CheckpointError(f"{checkpoints.qwen}: it has no {names.TOKENIZER_FILE}")
        *kept, self._pruned = self._gaze.resampler.geometry.injected_layers
        self._kept = tuple(kept)
        if self._pruned != self._qwen.decoder.layers - 1:
            raise CheckpointError(
                f"{checkpoints.gaze}: its last module belongs to layer {self._pruned}, not to the "
                f"last of {self._qwen.decoder.layers} layers: it can't be pruned"
            )

    def write_graphs(self, progress: Progress) -> None:
        """Write everything but the manifest, going on where the same export was interrupted.

        `progress` hears what is being worked on and the share of the time that is over.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / names.MANIFEST_FILE).unlink(missing_ok=True)
        progress("hashing the checkpoints", 0.0)
        self._journal = Journal(self._folder, self._origin())
        done = 0.0
        for part, share, write in (
            ("V-JEPA", 0.10, self._write_vjepa),
            ("resampler", 0.05, self._write_resampler),
            ("vision tower", 0.10, self._write_vision),
            ("decoder", 0.65, self._write_decoder),
            ("embeddings and tokenizer", 0.10, self._write_embeddings),
        ):
            progress(part, done)
            with self._journal.part(part) as missing:
                if missing:
                    write(
                        lambda over, part=part, past=done, of=share: progress(
                            part, past + of * over
                        )
                    )
            done += share
        progress("written", 1.0)

    def _write_vjepa(self, progress: Share) -> None:
        export_vjepa(self._vjepa, self._folder)

    def _write_resampler(self, progress: Share) -> None:
        export_scene_half(self._gaze.resampler, self._vjepa, self._kept, self._folder)
        export_gaze_half(self._gaze.resampler, self._kept, self._folder)

    def _write_vision(self, progress: Share) -> None:
        VisionEmitter(self._qwen.vision_state(), self._qwen.vision).emit(self._folder)

    def _write_decoder(self, progress: Share) -> None:
        emitter = DecoderEmitter(self._weights, self._qwen.decoder, self._kept, self._linears)
        emitter.emit(
            self._folder, lambda layer, layers: progress(layer / layers), self._journal.origin
        )

    def _write_embeddings(self, progress: Share) -> None:
        kind = self._linears.precision.embedding_type
        write_embeddings(self._weights, self._folder / names.EMBEDDINGS_FILE, kind)
        shutil.copyfile(self._tokenizer_file, self._folder / names.TOKENIZER_FILE)

    def compare(self, memory: int) -> Iterator[ParityFigure]:
        """Compare with PyTorch what was written.

        `memory`: where the whole model takes more bytes than this, the decoder is compared layer by
        layer instead of as a whole, and one graph is loaded at a time.
        """
        bundle = Bundle(self._folder, self._unsigned())
        rounded = RoundedWeights(self._weights, self._linears)
        if self._whole_bytes() <= memory:
            models = Models(bundle)
            whole = ReferenceModel.load(self._sources.qwen, self._vjepa, self._gaze)
            yield from check_graphs(models, graph_cases(models, whole))
            if self._linears.precision.kind != "float32":
                whole.replace_decoder(rounded.tensor)
            yield from check_decoder(models, whole)
            return
        models = Models(bundle, load=BriefEngine)
        # The other graphs need no decoder: the reference is built around an empty one. It is gone
        # before the engines come: two vision towers in float32 are five gigabytes.
        reference = ReferenceModel.without_decoder(self._qwen, self._vjepa, self._gaze)
        cases = graph_cases(models, reference)
        del reference
        yield from check_graphs(models, cases)
        yield from check_layers(bundle, rounded, self._qwen.decoder)

    def sign(self, parity: tuple[ParityFigure, ...]) -> Manifest:
        """Hash every file and write the manifest: from here on the folder is a bundle."""
        files = {names.EMBEDDINGS_FILE, names.TOKENIZER_FILE}
        for graph in names.GRAPHS:
            files |= {f"{graph}.onnx", f"{graph}.onnx.data"}
        specs = {name: file_spec(self._folder / name) for name in sorted(files)}
        manifest = replace(self._unsigned(), parity=parity, files=specs)
        write_manifest(self._folder, manifest)
        self._journal.close()
        return manifest

    def _whole_bytes(self) -> int:
        """Memory for the whole comparison: the weights once in PyTorch, once in the engines."""
        shapes = *self._qwen.decoder.shapes().values(), *self._qwen.vision.shapes().values()
        return 2 * 4 * sum(prod(shape) for shape in shapes)

    def _unsigned(self) -> Manifest:
        return Manifest(
            format=names.FORMAT_VERSION,
            name=self._name,
            geometry=self._geometry(),
            graphs={graph: _graph_spec(self._folder, graph) for graph in names.GRAPHS},
            positions=PositionRule(self._qwen.vision.tokens_per_second),
            prompt=prompt_pieces(Tokenizer.from_file(str(self._tokenizer_file))),
            settings=self._settings,
            quantization=self._quantization(),
            provenance=self._provenance,
        )

    def _quantization(self) -> Quantization:
        """As the written decoder says: an earlier run may have written it."""
        graph = self._folder / f"{names.DECODER}.onnx"
        facts = onnx.load(graph, load_external_data=False).metadata_props
        self._linears.resume({fact.key: fact.value for fact in facts})
        return self._linears.summary()

    def _geometry(self) -> Geometry:
        decoder, vision = self._qwen.decoder, self._qwen.vision
        vjepa, resampler = self._vjepa.geometry, self._gaze.resampler.geometry
        return Geometry(
            DecoderShape(
                layers=decoder.layers,
                width=decoder.width,
                heads=decoder.heads,
                kv_heads=decoder.kv_heads,
                head_dim=decoder.head_dim,
                vocabulary=decoder.vocabulary,
                rope_theta=decoder.rope_theta,
                mrope_section=decoder.mrope_section,
            ),
            VisionShape(
                patch=vision.patch,
                merge=vision.merge,
                temporal_patch=vision.temporal_patch,
                window=vision.window,
                head_dim=vision.width // vision.heads,
            ),
            VJepaShape(vjepa.frames, vjepa.tubelets, vjepa.side, vjepa.width),
            ResamplerShape(self._kept, self._pruned, resampler.d_latent, resampler.n_blocks),
        )

    def _origin(self) -> dict[str, str]:
        """All that decides what the graphs hold."""
        provenance = self._provenance
        return {
            **provenance.checkpoints,
            **provenance.tools,
            "vjepa pixels": str(self._sources.vjepa_pixels),
            "precision": f"{self._linears.precision.kind}, {self._linears.precision.accumulation}",
        }

    @cached_property
    def _provenance(self) -> Provenance:
        hashes = {f"qwen/{name}": digest for name, digest in self._qwen.hashes().items()}
        hashes["vjepa"] = sha256(self._sources.vjepa)
        hashes["gaze"] = sha256(self._sources.gaze)
        tools = {tool: version(tool) for tool in TOOLS} | {"python": platform.python_version()}
        return Provenance(hashes, tools, self._sources.weights)


def prompt_pieces(tokenizer: Tokenizer) -> PromptPieces:
    """The token ids of Qwen2.5-VL's chat template. Raises CheckpointError without its tokens."""
    letters = {letter: _ids(tokenizer, letter) for letter in LETTERS}
    single = {letter: ids[0] for letter, ids in letters.items() if len(ids) == 1}
    stops = [tokenizer.token_to_id(stop) for stop in STOPS]
    if None in stops or not {"A", "B", "C", "D"} <= set(single):
        raise CheckpointError("the tokenizer is not Qwen2.5-VL's: its special tokens are missing")
    return PromptPieces(
        before_video=_ids(tokenizer, BEFORE_VIDEO),
        after_video=_ids(tokenizer, AFTER_VIDEO),
        before_answer=_ids(tokenizer, BEFORE_ANSWER),
        letters=single,
        stop=tuple(stop for stop in stops if stop is not None),
    )


def _ids(tokenizer: Tokenizer, text: str) -> tuple[int, ...]:
    return tuple(tokenizer.encode(text, add_special_tokens=False).ids)


def _graph_spec(folder: Path, graph: str) -> GraphSpec:
    model = onnx.load(folder / f"{graph}.onnx", load_external_data=False).graph
    return GraphSpec(
        f"{graph}.onnx",
        tuple(_tensor_spec(info) for info in model.input),
        tuple(_tensor_spec(info) for info in model.output),
    )


def _tensor_spec(info: onnx.ValueInfoProto) -> TensorSpec:
    tensor = info.type.tensor_type
    kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    shape = tuple(axis.dim_param or axis.dim_value for axis in tensor.shape.dim)
    return TensorSpec(info.name, kind, shape)

"""Builds a bundle from checkpoints: graphs, embeddings, tokenizer, parity, last the manifest."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import onnx

from export import files, inspection
from export.checkpoints.chat import read_prompt
from export.checkpoints.common import CheckpointError, sha256
from export.checkpoints.gaze import GazeCheckpoint, check_fit, load_gaze
from export.checkpoints.pictures import read_pictures
from export.checkpoints.qwen import QwenCheckpoint
from export.checkpoints.sources import Checkpoints
from export.checkpoints.vjepa import load_vjepa
from export.geometry import bundle_geometry
from export.graphs.decoder import DecoderEmitter, write_embeddings
from export.graphs.graph_writer import graph_spec
from export.graphs.kernels import check_kernels
from export.graphs.precision.narrowing import encoder_types, narrow
from export.graphs.precision.quantization import Linears
from export.graphs.traced import export_gaze_half, export_scene_half, export_vjepa
from export.graphs.vision import VisionEmitter
from export.graphs.weights import DecoderWeights, RoundedWeights
from export.journal import Journal
from export.modules.vjepa import VJepaEncoder
from export.parity import cut_down
from export.parity.comparison import compare_by_layers, compare_whole
from export.parity.reading.oracle import Oracle, OurReading
from runtime.bundle import names
from runtime.bundle.manifest import (
    FORMAT_VERSION,
    EncoderType,
    Geometry,
    Injection,
    Manifest,
    ParityFigure,
    PositionRule,
    Provenance,
    Quantization,
    Settings,
)
from runtime.bundle.opening import Bundle, write_manifest
from runtime.bundle.verification import file_spec

Share = Callable[[float], None]  # of a part that is done, from 0 to 1
Progress = Callable[[str, float], None]
TOOLS = ("torch", "transformers", "peft", "onnx", "onnxscript", "onnxruntime", "tokenizers")


class BundleBuilder:
    """Builds one bundle in `folder`.

    Opening it reads and checks the checkpoints: CheckpointError for those that do not fit. Nothing
    is written before `write_graphs`, and nothing there before `inspect` has found no fault.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        folder: Path,
        name: str,
        settings: Settings,
        linears: Linears,
        encoders: EncoderType | None = None,
    ) -> None:
        """`encoders`: what V-JEPA's and the vision tower's products are computed in on a CPU."""
        self._sources = checkpoints
        self._folder = folder
        self._name = name
        self._settings = settings
        self._linears = linears
        inspection.check_place(folder, checkpoints.qwen, checkpoints.files(), files.bundle_files())
        inspection.check_fetched(checkpoints.qwen)
        self._qwen = QwenCheckpoint.open(checkpoints.qwen)
        self._vjepa: VJepaEncoder = load_vjepa(checkpoints.vjepa, checkpoints.vjepa_pixels)
        self._gaze: GazeCheckpoint = load_gaze(checkpoints.gaze, checkpoints.layers)
        check_fit(self._gaze, self._qwen, self._vjepa)
        inspection.check_layers(self._gaze, checkpoints.gaze)
        self._weights = DecoderWeights(self._qwen, self._gaze)
        self._tokenizer_file = checkpoints.qwen / names.TOKENIZER_FILE
        self._tokenizer = inspection.fitting_tokenizer(
            self._tokenizer_file, self._qwen.decoder.vocabulary
        )
        self._prompt = read_prompt(checkpoints.qwen, self._tokenizer)
        self._pictures = read_pictures(checkpoints.qwen, self._qwen.vision)
        token = self._qwen.vision.patch * self._qwen.vision.merge
        self._pictures.check(settings.live_height * token, settings.live_width * token)
        self._positions = PositionRule(self._qwen.vision.tokens_per_second)
        layers = self._gaze.injection.layers
        last = self._qwen.decoder.layers - 1
        self._kept = tuple(
            layer
            for module, layer in enumerate(layers)
            if layer != last and module not in self._gaze.dead
        )
        self._pruned = last if last in layers else None
        self._encoders = encoder_types(linears.precision.target, encoders)
        plan = name, self._geometry(), settings, self._prompt, self._positions
        inspection.check_plan(folder, *plan)

    @property
    def injection(self) -> Injection:
        """The layers at which the resampler's modules were trained, and how that is known."""
        return self._gaze.injection

    def inspect(self, progress: Progress) -> None:
        """Look at all that can be known before anything is written: room, numbers, hashes.

        Raises CheckpointError. `progress` hears of the share of this that is over.
        """
        needed = inspection.needed_bytes(
            self._qwen, self._vjepa, self._gaze, len(self._kept), self._linears
        )
        needed += cut_down.written_bytes(self._qwen.decoder)
        inspection.check_room(self._folder, needed, files.bundle_files())
        inspection.check_numbers(
            self._qwen,
            self._weights,
            self._linears,
            lambda share: progress("looking at every number", share),
        )
        progress("hashing the checkpoints", 1.0)
        self._journal = Journal(self._folder, self._origin())

    def write_graphs(self, progress: Progress) -> None:
        """Write everything but the manifest, going on where the same export was interrupted.

        `progress` hears what is being worked on and the share of the time that is over. Call
        `inspect` first.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / names.MANIFEST_FILE).unlink(missing_ok=True)
        self._journal.begin(files.bundle_files())
        done = 0.0
        for part, written, share, write in (
            ("V-JEPA", files.graph_files(names.VJEPA), 0.10, self._write_vjepa),
            ("resampler", files.graph_files(names.SCENE, names.GAZE), 0.05, self._write_resampler),
            ("vision tower", files.graph_files(names.VISION), 0.10, self._write_vision),
            ("decoder", files.graph_files(names.DECODER), 0.65, self._write_decoder),
            ("embeddings and tokenizer", files.TABLES, 0.10, self._write_embeddings),
        ):
            progress(part, done)
            with self._journal.part(part, written) as missing:
                if missing:
                    write(
                        lambda over, part=part, past=done, of=share: progress(
                            part, past + of * over
                        )
                    )
            done += share
        progress("written", 1.0)

    def _write_vjepa(self, progress: Share) -> None:
        path = export_vjepa(self._vjepa, self._folder)
        narrow(path, self._encoders[names.VJEPA])

    def _write_resampler(self, progress: Share) -> None:
        resampler = self._gaze.resampler
        scene = export_scene_half(resampler, self._vjepa, self._kept, self._folder)
        narrow(scene, self._encoders[names.SCENE])
        gaze = export_gaze_half(resampler, self._kept, self._folder)
        narrow(gaze, self._encoders[names.GAZE])

    def _write_vision(self, progress: Share) -> None:
        state, size = self._qwen.vision_state(), self._qwen.vision
        kind = self._encoders[names.VISION]
        emitted = "float32" if kind == "int8" else kind
        path = VisionEmitter(state, size, self._pictures, emitted).emit(self._folder)
        if emitted != kind:
            narrow(path, kind)

    def _write_decoder(self, progress: Share) -> None:
        emitter = DecoderEmitter(self._weights, self._qwen.decoder, self._kept, self._linears)
        emitter.emit(
            self._folder, lambda layer, layers: progress(layer / layers), self._journal.origin
        )

    def _write_embeddings(self, progress: Share) -> None:
        kind = self._linears.precision.table
        write_embeddings(self._weights, self._folder / names.EMBEDDINGS_FILE, kind)
        files.write(self._folder / names.TOKENIZER_FILE, self._tokenizer_file.read_bytes())

    def compare_reading(self) -> Iterator[ParityFigure]:
        """Compare what was read of the checkpoints with other readings; nothing need be written."""
        yield from self._oracle().compare(self._reading())

    def compare(self, memory: int) -> Iterator[ParityFigure]:
        """Compare what was written with PyTorch.

        `memory`: where the whole model takes more bytes than this, the decoder is compared layer by
        layer instead of as a whole, and one graph is loaded at a time.
        """
        bundle = Bundle(self._folder, self._unsigned())
        ours, oracle = self._reading(), self._oracle()
        rounded = RoundedWeights(self._weights, self._linears)
        if self._whole_bytes() <= memory:
            yield from compare_whole(bundle, ours, oracle, rounded, self._sources.gaze)
        else:
            yield from compare_by_layers(bundle, ours, oracle, rounded)

    def _oracle(self) -> Oracle:
        """Read anew each time: nothing of it stays in memory while graphs are written."""
        given, layers = self._sources, self._gaze.injection.layers
        return Oracle.read(given.qwen, given.vjepa, given.vjepa_pixels, given.gaze, layers)

    def _reading(self) -> OurReading:
        """What the graphs were made from, to be compared with other readings of the files."""
        token = self._qwen.vision.patch * self._qwen.vision.merge
        return OurReading(
            self._qwen,
            self._weights,
            self._vjepa,
            self._gaze.resampler,
            self._pictures,
            self._tokenizer,
            self._prompt,
            self._geometry().decoder,
            self._positions,
            (self._settings.live_height * token, self._settings.live_width * token),
        )

    def sign(self, parity: tuple[ParityFigure, ...]) -> Manifest:
        """Hash every file and write the manifest: from here on the folder is a bundle.

        Raises CheckpointError where a comparison did not end in a number: JSON knows no other.
        """
        if strange := [figure for figure in parity if not math.isfinite(figure.difference)]:
            raise CheckpointError(
                f"{self._folder}: {strange[0].graph}, {strange[0].case}: the comparison with "
                "PyTorch ended in NaN or infinity: values overflow on the way, so it is no bundle"
            )
        specs = {name: file_spec(self._folder / name) for name in sorted(files.bundle_files())}
        manifest = replace(self._unsigned(), parity=parity, files=specs)
        path = self._folder / names.MANIFEST_FILE
        with files.named(path):
            write_manifest(self._folder, manifest)
        files.sync(path)
        self._journal.close()
        return manifest

    def _whole_bytes(self) -> int:
        """Memory for the whole comparison: the weights once in PyTorch, once in the engines."""
        shapes = *self._qwen.decoder.shapes().values(), *self._qwen.vision.shapes().values()
        return 2 * 4 * sum(math.prod(shape) for shape in shapes)

    def _unsigned(self) -> Manifest:
        return Manifest(
            format=FORMAT_VERSION,
            name=self._name,
            geometry=self._geometry(),
            graphs={graph: graph_spec(self._folder, graph) for graph in names.GRAPHS},
            positions=self._positions,
            prompt=self._prompt,
            settings=self._settings,
            target=self._linears.precision.target,
            encoders=self._encoders,
            host_nodes=check_kernels(self._folder, self._linears.precision.target),
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
        return bundle_geometry(self._qwen, self._vjepa, self._gaze, self._kept, self._pruned)

    def _origin(self) -> dict[str, str]:
        """All that decides what the graphs hold."""
        provenance = self._provenance
        return {
            **provenance.checkpoints,
            **provenance.tools,
            "layers": str(provenance.injection.layers),
            "vjepa pixels": str(self._sources.vjepa_pixels),
            "precision": f"{self._linears.precision.kind}, {self._linears.precision.accumulation}",
            "target": self._linears.precision.target,
            "encoders": str(self._encoders),
        }

    @cached_property
    def _provenance(self) -> Provenance:
        hashes = {f"qwen/{name}": digest for name, digest in self._qwen.hashes().items()}
        hashes["vjepa"] = sha256(self._sources.vjepa)
        hashes["gaze"] = sha256(self._sources.gaze)
        tools = {tool: version(tool) for tool in TOOLS} | {"python": platform.python_version()}
        return Provenance(hashes, tools, self._sources.weights, self._gaze.injection)

"""`python -m runtime.check BUNDLE`: what this machine will run on, whether it fits, a self-test.

`python -m runtime.check --recording REC`: what a recording is worth.
`python -m runtime.check --device NAME`: what a device would do, before anyone buys it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from devices.device import DeviceError
from devices.parser import Parser, complain
from runtime.bundle import names
from runtime.bundle.manifest import VJEPA_HEAD_DIM, Manifest, ParityFigure
from runtime.bundle.opening import Bundle
from runtime.engines.choice import ENGINES, EngineChoice, Machine, choose_engine
from runtime.engines.gpu import MEMINFO, available_on_host
from runtime.errors import RuntimeFault
from runtime.model.context_pool import MOST_CONTEXTS
from runtime.model.models import Models
from runtime.model.opening import open_models
from runtime.model.proof import ProofFigure
from runtime.recordings.report import as_json, as_lines, reports
from runtime.sizing.devices import device_named
from runtime.sizing.prediction import prediction_lines
from runtime.terminal import SafeConsole

GIBIBYTE = 1 << 30
CONTEXT_TOKENS = 2048
SHARED_SCORES = 2  # attention scores before and after softmax
FEED_FORWARDS = 2  # before and after its activation


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    good: bool
    line: str


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes: weights as stored, keys and values of the contexts, activations (estimated)."""

    weights: int
    contexts: int
    activations: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.contexts + self.activations


def memory_need(manifest: Manifest, tokens: int = CONTEXT_TOKENS) -> MemoryNeed:
    """What a bundle needs with two contexts of `tokens` tokens.

    Activations are estimated from the largest: V-JEPA's attention scores over all its tokens, which
    are of the type of its products, and its feed-forward in float32. Each graph keeps what it once
    took, so they are there while the decoder runs.
    """
    decoder, vjepa = manifest.geometry.decoder, manifest.geometry.vjepa
    types = {spec.name: np.dtype(spec.type) for spec in manifest.graphs[names.DECODER].inputs}
    size = types[names.past_key(0)].itemsize
    row = 2 * decoder.layers * decoder.kv_heads * decoder.head_dim * size
    patches = vjepa.tubelets * vjepa.side**2
    heads = max(1, vjepa.width // VJEPA_HEAD_DIM)
    wide = np.dtype(np.float32).itemsize
    score = wide // 2 if manifest.encoders[names.VJEPA] in ("fp16", "bf16") else wide
    scores = SHARED_SCORES * heads * patches**2 * score
    feed_forward = FEED_FORWARDS * patches * 4 * vjepa.width * wide
    graphs = {name for name in manifest.files if ".onnx" in name}
    return MemoryNeed(
        sum(manifest.files[name].size for name in graphs),
        MOST_CONTEXTS * tokens * row,
        max(scores, feed_forward),
    )


def comparison_findings(manifest: Manifest) -> Iterator[Finding]:
    """What the export compared with what, and apart from it what rounding changes.

    A bundle whose comparisons failed does not open: these lines inform.
    """
    kinds: dict[str, list[ParityFigure]] = {}
    for figure in manifest.parity:
        kinds.setdefault(figure.graph, []).append(figure)
    read = {kind: figures for kind, figures in kinds.items() if kind not in names.GRAPHS}
    for kind, figures in read.items():
        yield Finding(True, f"compared: {kind}: {'; '.join(figure.case for figure in figures)}")
    if not read:
        yield Finding(
            True,
            "compared: what was read of the checkpoints was not compared with transformers' "
            "reading: export again to have it compared",
        )
    for graph, figures in kinds.items():
        if graph in names.GRAPHS:
            yield Finding(True, f"compared: graph {graph}: {_summary(figures)}")
    if errors := manifest.quantization.errors:
        kind, worst = max(errors.items(), key=lambda error: error[1])
        yield Finding(
            True,
            f"rounding: apart from all that, {manifest.quantization.kind} changes the decoder's "
            f"weights by {worst:.2%} at most ({kind})",
        )


def _summary(figures: Sequence[ParityFigure]) -> str:
    allowed = [each for each in figures if each.bound and not each.must_change]
    nearest = max((each.difference / each.bound for each in allowed), default=0.0)
    how = ", layer by layer" if any(each.layer_by_layer for each in figures) else ""
    return (
        f"{len(figures)} comparisons with PyTorch over the same weights{how}; the largest "
        f"difference is {nearest:.0%} of what is allowed"
    )


def memory_finding(need: MemoryNeed, available: int | None) -> Finding:
    """Whether it fits; unknown memory is said, and is no failure."""
    parts = (
        f"needs {need.total / GIBIBYTE:.2f} GiB: weights {need.weights / GIBIBYTE:.2f}, "
        f"{MOST_CONTEXTS} contexts of {CONTEXT_TOKENS} tokens {need.contexts / GIBIBYTE:.2f}, "
        f"activations about {need.activations / GIBIBYTE:.2f}"
    )
    if available is None:
        return Finding(True, f"memory: {parts}; what is free is not known here")
    have = f"{available / GIBIBYTE:.2f} GiB are there"
    if need.total > available:
        advice = "close what else runs, or export a smaller model or with fewer bits"
        return Finding(False, f"memory: {parts}; {have}: {advice}")
    return Finding(True, f"memory: {parts}; {have}")


def available_memory(choice: EngineChoice, machine: Machine, meminfo: Path = MEMINFO) -> int | None:
    """Bytes that are free on the GPU or the host; None where the system does not say."""
    if choice.kind != "cpu" and machine.gpu is not None:
        return machine.gpu.memory if machine.gpu.free is None else machine.gpu.free
    return available_on_host(meminfo)


def proof_finding(figures: Sequence[ProofFigure]) -> Finding:
    """What the bundle's reference vectors told of this device."""
    graphs = len({figure.graph for figure in figures})
    nearest = max(figure.difference / figure.bound for figure in figures)
    return Finding(
        all(figure.holds for figure in figures),
        f"proof: {graphs} graphs give here what PyTorch gave ({len(figures)} comparisons; the "
        f"largest difference is {nearest:.0%} of what is allowed)",
    )


def self_test(models: Models) -> Iterator[Finding]:
    """One step encoded, prefilled with and without gaze, one token decoded."""
    manifest = models.bundle.manifest
    grid = (manifest.settings.live_height, manifest.settings.live_width)
    pixels = manifest.geometry.vision.token_pixels
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, grid[0] * pixels, grid[1] * pixels, 3), np.uint8)
    visual = models.visual(frames)
    scene = models.scene(models.features(frames, 1), 0, 1, grid)
    encoding = rng.uniform(-1, 1, manifest.geometry.resampler.width).astype(np.float32)
    residuals = models.residuals(scene, encoding)
    yield Finding(
        True, f"encoding: one step of {grid[0]} x {grid[1]} tokens on {models.engine_name}"
    )
    prompt = manifest.prompt
    text = np.array([*prompt.after_video, *prompt.before_answer], np.int64)
    room = len(prompt.before_video) + grid[0] * grid[1] + len(text) + 1
    context = models.context(grid, room)
    start = context.mark()
    context.append_step(visual, None)
    plain = context.append_text(text)
    context.rewind(start)
    context.append_step(visual, residuals)
    gazed = context.append_text(text)
    finite = bool(np.isfinite(plain).all() and np.isfinite(gazed).all())
    yield Finding(finite, f"prefill: the logits are {'finite' if finite else 'NOT finite'}")
    change = float(np.abs(gazed - plain).max())
    bounds = [figure.bound for figure in manifest.parity if figure.must_change]
    least = max(bounds, default=0.0)
    yield Finding(
        change > 0 and change >= least,
        f"gaze: it changes the logits by {change:.2e}, the bundle asks for {least:.0e} at least",
    )
    token = int(np.argmax(gazed))
    logits = context.append_text(np.array([token], np.int64))
    fine = logits.shape == (manifest.geometry.decoder.vocabulary,) and bool(
        np.isfinite(logits).all()
    )
    yield Finding(fine, f"decoding: one token ({models.bundle.tokenizer.decode([token])!r})")


def findings(options: argparse.Namespace, machine: Machine) -> Iterator[Finding]:
    """Everything, in the order in which it can fail. Raises RuntimeFault for what stops it."""
    bundle = Bundle.open(options.bundle, rehash=True)
    manifest = bundle.manifest
    yield Finding(
        True,
        f"bundle: {manifest.name} ({manifest.quantization.kind}, {manifest.provenance.weights} "
        f"weights), {len(manifest.files)} files unaltered",
    )
    yield from comparison_findings(manifest)
    choice = choose_engine(options.engine, bundle, machine)
    yield Finding(True, f"engine: {choice.line}")
    fits = memory_finding(memory_need(manifest), available_memory(choice, machine))
    yield fits
    if fits.good:
        opened = open_models(options.engine, bundle, machine, again=True)
        if opened.choice.line != choice.line:
            yield Finding(True, f"engine: {opened.choice.line}")
        yield proof_finding(opened.figures)
        yield from self_test(opened.models)


def check_recording(path: Path, strict: bool, json: bool) -> int:
    """Print what a recording is worth; returns 0 unless it can't be read."""
    try:
        for number, report in enumerate(reports(path, strict)):
            if json:
                print(as_json(report))
                continue
            print(*([""] if number else []), *as_lines(report), sep="\n")
    except (DeviceError, RuntimeFault) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def check_device(name: str) -> int:
    """Print what a device of the table would do; returns 0 unless there is none."""
    try:
        print(*prediction_lines(device_named(name)), sep="\n")
    except RuntimeFault as error:
        complain(error)
        return 1
    return 0


def main(arguments: Sequence[str] | None = None, machine: Machine | None = None) -> int:
    """Check; returns 0 if all is well, else 1."""
    parser = Parser(
        prog="python -m runtime.check",
        description="Whether this machine can run a bundle; or what a recording is worth.",
    )
    parser.add_argument("bundle", type=Path, nargs="?")
    parser.add_argument("--recording", type=Path, metavar="REC", help="a recording, or many")
    parser.add_argument("--device", metavar="NAME", help="such as 'Jetson AGX Orin 64GB'")
    parser.add_argument("--strict", action="store_true", help="refuse one that is not whole")
    parser.add_argument("--json", action="store_true", help="the report on it as lines of JSON")
    parser.add_argument("--engine", choices=ENGINES, default="auto")
    options = parser.parse_args(arguments)
    asked = [each for each in (options.bundle, options.recording, options.device) if each]
    if len(asked) != 1:
        parser.error("give either a bundle, --recording REC or --device NAME")
    if options.recording is not None:
        return check_recording(options.recording, options.strict, options.json)
    if options.json or options.strict:
        parser.error("--json and --strict belong to --recording")
    if options.device is not None:
        return check_device(options.device)
    console, good = SafeConsole(), True
    try:
        for finding in findings(options, machine or Machine.here()):
            console.print(f"{'ok  ' if finding.good else 'FAIL'} {finding.line}")
            good &= finding.good
    except RuntimeFault as error:
        console.print(f"FAIL {error}")
        return 1
    except MemoryError:
        print("FAIL memory: it does not suffice for one step: a smaller --live-grid takes less")
        return 1
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

"""Whether a manifest makes sense: that it is as it was signed does not say that it can be run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from devices.printable import printable
from runtime.bundle import names
from runtime.bundle.manifest import (
    TUBELET_FRAMES,
    Geometry,
    Manifest,
    PositionRule,
    PromptPieces,
    Settings,
)
from runtime.bundle.signatures import Signature, expected_signatures, misfit, takes_pairs
from runtime.errors import BundleError

FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")  # of a file that lies in the bundle
LONGEST_NAME = 200  # characters
LETTERS = "ABCD"  # that every bundle can answer with
MOST_PIECES = 4096  # tokens of the chat template around the video
MOST_NEW_TOKENS = 1 << 20
MOST_LIVE_SIDE = 1024  # visual tokens
LONGEST_WINDOW = 3600.0  # seconds

# Far beyond any model that exists; what is within is checked against the graphs.
SIZES = {
    "decoder.layers": 1024,
    "decoder.width": 1 << 17,
    "decoder.heads": 1024,
    "decoder.kv_heads": 1024,
    "decoder.head_dim": 4096,
    "decoder.vocabulary": 1 << 22,
    "vision.patch": 256,
    "vision.merge": 16,
    "vision.temporal_patch": 16,
    "vision.window": 4096,
    "vision.head_dim": 4096,
    "vjepa.frames": 1024,
    "vjepa.tubelets": 1024,
    "vjepa.side": 256,
    "vjepa.width": 1 << 17,
    "resampler.width": 1 << 17,
    "resampler.blocks": 256,
}


def check_soundness(path: Path, manifest: Manifest) -> None:
    """Raise BundleError for the first thing in a manifest, read from `path`, that can't be."""
    complaint = next(_complaints(manifest), None)
    if complaint is not None:
        raise BundleError(f"{path}: {complaint}: export the bundle again")


def plan_complaints(
    name: str,
    geometry: Geometry,
    settings: Settings,
    prompt: PromptPieces,
    positions: PositionRule,
) -> Iterator[str]:
    """What can't be in that part of a manifest that is known before any file is written."""
    if not name or printable(name, LONGEST_NAME) != name:
        yield f"its name is no line of text of at most {LONGEST_NAME} characters"
    yield from _sizes(geometry)
    yield from _fits(geometry)
    yield from _settings(settings)
    yield from _prompt(prompt, geometry.decoder.vocabulary)
    for what in ("tokens_per_second", "seconds_per_step"):
        yield from _within(f"positions.{what}", getattr(positions, what), 0, 1e6, above=True)


def _complaints(manifest: Manifest) -> Iterator[str]:
    yield from plan_complaints(
        manifest.name, manifest.geometry, manifest.settings, manifest.prompt, manifest.positions
    )
    yield from _files(manifest)
    yield from _graphs(manifest)


def _files(manifest: Manifest) -> Iterator[str]:
    """Every file lies in the bundle, under a name that means the same everywhere."""
    for name, spec in manifest.files.items():
        if not FILE_NAME.fullmatch(name):
            yield f"it names a file {_quoted(name)}, which does not lie in the bundle"
        elif spec.size < 0:
            yield f"{name} has {spec.size} bytes"
    for graph in names.GRAPHS:
        if graph not in manifest.graphs:
            yield f"it names no graph {graph}"
    needed = {names.EMBEDDINGS_FILE, names.TOKENIZER_FILE, names.VECTORS_FILE}
    needed |= {spec.file for spec in manifest.graphs.values()}
    for name in sorted(needed - set(manifest.files)):
        yield f"it has no hash of {_quoted(name)}"


def _sizes(geometry: Geometry) -> Iterator[str]:
    for place, most in SIZES.items():
        part, what = place.split(".")
        yield from _within(place, getattr(getattr(geometry, part), what), 1, most)


def _fits(geometry: Geometry) -> Iterator[str]:
    """Sizes that depend on each other, once each is sound by itself."""
    decoder, vision, resampler = geometry.decoder, geometry.vision, geometry.resampler
    yield from _within("decoder.rope_theta", decoder.rope_theta, 1, 1e12)
    if decoder.heads % decoder.kv_heads:
        yield f"{decoder.heads} heads can't share {decoder.kv_heads} of keys and values"
    section = decoder.mrope_section
    if min(section) < 0 or 2 * sum(section) != decoder.head_dim:
        yield f"its mrope_section {section} does not fill a head_dim of {decoder.head_dim}"
    if vision.temporal_patch != 2:
        yield f"its vision tower takes {vision.temporal_patch} frames at a time, not a pair"
    if vision.window % vision.token_pixels:
        yield f"its vision window of {vision.window} pixels holds no whole tokens"
    if vision.head_dim % 4:
        yield f"vision.head_dim is {vision.head_dim}, not a multiple of 4"
    vjepa = geometry.vjepa
    if vjepa.frames != TUBELET_FRAMES * vjepa.tubelets:
        yield f"its V-JEPA makes {vjepa.tubelets} tubelets of {vjepa.frames} frames, not one of two"
    if resampler.width % 2:
        yield f"resampler.width is {resampler.width}, which can't be halved"
    layers = resampler.injected_layers
    if not layers or list(layers) != sorted(set(layers)) or layers[0] < 0:
        yield f"its injected layers are {_quoted(layers)}"
    elif layers[-1] >= decoder.layers:
        yield f"its injected layers are {_quoted(layers)} of {decoder.layers}"
    elif resampler.pruned_layer is not None and not (
        layers[-1] < resampler.pruned_layer < decoder.layers
    ):
        yield f"its pruned layer is {_quoted(resampler.pruned_layer)} of {decoder.layers}"


def _settings(settings: Settings) -> Iterator[str]:
    for what in ("live_height", "live_width"):
        yield from _within(f"settings.{what}", getattr(settings, what), 1, MOST_LIVE_SIDE)
    yield from _within("settings.window", settings.window, 0, LONGEST_WINDOW, above=True)
    yield from _within("settings.dispersion_radius", settings.dispersion_radius, 0, 2, above=True)
    yield from _within("settings.min_open", settings.min_open, 0, 60)
    yield from _within("settings.gaze_age_limit", settings.gaze_age_limit, 0, 3600, above=True)
    yield from _within("settings.max_new_tokens", settings.max_new_tokens, 1, MOST_NEW_TOKENS)


def _prompt(prompt: PromptPieces, vocabulary: int) -> Iterator[str]:
    if missing := [letter for letter in LETTERS if letter not in prompt.letters]:
        yield f"its prompt has no token for the letter {missing[0]}"
    if strange := [letter for letter in prompt.letters if not re.fullmatch("[A-Z]", letter)]:
        yield f"its prompt has a letter {_quoted(strange[0])}"
    pieces = {
        "before_video": prompt.before_video,
        "after_video": prompt.after_video,
        "before_answer": prompt.before_answer,
        "stop": prompt.stop,
        "letters": tuple(prompt.letters.values()),
    }
    for name, tokens in pieces.items():
        if not 1 <= len(tokens) <= MOST_PIECES:
            yield f"prompt.{name} has {len(tokens)} tokens"
        for token in tokens:
            yield from _within(f"a token of prompt.{name}", token, 0, vocabulary - 1)


def _graphs(manifest: Manifest) -> Iterator[str]:
    """The tensors of every graph are those of the geometry."""
    expected = expected_signatures(manifest.geometry, takes_pairs(manifest))
    for graph, spec in manifest.graphs.items():
        if graph not in expected:
            yield f"it names a graph {_quoted(graph)}, which no model has"
        elif wrong := misfit(Signature(spec.inputs, spec.outputs), expected[graph]):
            yield f"its graph {graph} is not of its geometry: {wrong}"


def _within(
    what: str, value: float, least: float, most: float, *, above: bool = False
) -> Iterator[str]:
    inside = least < value <= most if above else least <= value <= most
    if not inside:
        yield f"{what} is {_quoted(value)}, not within {least:g} to {most:g}"


def _quoted(value: object) -> str:
    """Something from outside in an error message: one line, not too long."""
    return printable(repr(value), 60)

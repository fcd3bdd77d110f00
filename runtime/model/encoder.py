"""Steps encoded: frames to visual embeddings and scene outputs, gaze to residuals.

The scene half depends on the pair of frames alone and is kept for the newest pairs, so that a new
gaze on the same frames costs the gaze half only; and the newest residuals are kept for a question
that finds gaze as it was.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from devices.samples import Fixation
from runtime.engines.tensors import Tensor
from runtime.errors import NotFiniteError
from runtime.inputs.gaze_encoding import gaze_encoding
from runtime.model.models import Models, Scene
from runtime.stopwatch import Stopwatch
from runtime.stream.frame_timeline import FramePair
from runtime.stream.steps import Step, StepPlan

KEPT_PAIRS = 4


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPair:
    """What does not depend on gaze: `visual` (H*W, D), and the scene half's outputs."""

    visual: Tensor
    scene: Scene | None


@dataclass(frozen=True, slots=True, eq=False)
class _Gazed:
    """Residuals, and the pair of frames and the fixations that they are of."""

    key: tuple[int, int]
    fixations: tuple[Fixation, ...]
    residuals: Tensor


class Encoder:
    """Encodes steps for a live grid under the causal protocol.

    With `use_gaze` False no residual is computed and none is added. The newest `kept` pairs are
    remembered; their capture times name them, so an encoder belongs to one stream.
    """

    def __init__(
        self,
        models: Models,
        grid: tuple[int, int],
        use_gaze: bool,
        kept: int = KEPT_PAIRS,
        compares: bool = False,
    ) -> None:
        """`compares`: whether to tell what gaze changes in a step, at the cost of a gaze half."""
        self._compares = compares
        self._models = models
        self._grid = grid
        self._use_gaze = use_gaze
        self._most_kept = kept
        self._kept: OrderedDict[tuple[int, int], EncodedPair] = OrderedDict()
        self._newest: _Gazed | None = None
        geometry = models.bundle.manifest.geometry
        self._encoding_width = geometry.resampler.width

    def encode(self, plan: StepPlan, watch: Stopwatch) -> Step:
        """Encode a step; what was encoded of its frames before is used again.

        Raises NotFiniteError where a graph computed what is no number, as far as that can be seen
        without fetching it from a device; it is not kept.
        """
        pair = self.encode_pair(plan.pair, watch)
        try:
            return Step(plan, pair.visual, self._residuals(pair, plan, watch))
        except NotFiniteError:
            del self._kept[plan.pair.key]
            raise

    def holds(self, pair: FramePair) -> bool:
        """Whether this pair of frames is encoded already, so that only gaze may cost time."""
        return pair.key in self._kept

    def encode_apart(self, plan: StepPlan, watch: Stopwatch) -> Step:
        """Encode a step that is not of this stream; what is kept of the stream stays."""
        pair, newest = self._encode(plan.pair, watch), self._newest
        try:
            self._newest = None
            return Step(plan, pair.visual, self._residuals(pair, plan, watch))
        finally:
            self._newest = newest

    def unlooked(self, plan: StepPlan) -> Tensor | None:
        """The residuals (injected, H*W, D) of an encoded step's frames if nothing were fixated.

        None where nobody compares, where gaze is off, or where the frames are forgotten.
        """
        pair = self._kept.get(plan.pair.key) if self._compares else None
        if pair is None or pair.scene is None:
            return None
        return self._models.residuals(pair.scene, gaze_encoding((), self._encoding_width))

    def encode_pair(self, pair: FramePair, watch: Stopwatch) -> EncodedPair:
        """Everything that can be computed of a pair of frames before gaze is known."""
        if pair.key not in self._kept:
            self._kept[pair.key] = self._encode(pair, watch)
            if len(self._kept) > self._most_kept:
                self._kept.popitem(last=False)
        return self._kept[pair.key]

    def _encode(self, pair: FramePair, watch: Stopwatch) -> EncodedPair:
        frames = np.stack([pair.older, pair.newer])
        with watch.stage("vision"):
            visual = _finite(self._models.visual(frames), "vision tower")
        if not self._use_gaze:
            return EncodedPair(visual, None)
        # The released checkpoint was trained on two frames, the second repeated to the end.
        with watch.stage("vjepa"):
            features = self._models.features(frames, 1)
        with watch.stage("resampler.scene"):
            return EncodedPair(visual, self._models.scene(features, 0, 1, self._grid))

    def _residuals(self, pair: EncodedPair, plan: StepPlan, watch: Stopwatch) -> Tensor | None:
        if pair.scene is None:
            return None
        key, fixations, newest = plan.pair.key, plan.gaze.fixations, self._newest
        if newest is not None and (newest.key, newest.fixations) == (key, fixations):
            return newest.residuals
        with watch.stage("resampler.gaze"):
            encoding = gaze_encoding(fixations, self._encoding_width)
            residuals = _finite(self._models.residuals(pair.scene, encoding), "resampler")
        self._newest = _Gazed(key, fixations, residuals)
        return residuals


def _finite(computed: Tensor, what: str) -> Tensor:
    """What a graph computed, unless it lies on the host and is no number.

    On a device the decoder's logits tell.
    """
    if isinstance(computed, np.ndarray) and not np.isfinite(computed).all():
        raise NotFiniteError(f"the {what} computed what is no number")
    return computed

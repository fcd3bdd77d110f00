"""Models in which something turns to what is no number, once or from some moment on."""

import numpy as np

from runtime.model.context import Context


class Disturbed:
    """Another bundle's models; `wrong(what, call)` says when something computes to no number.

    `what`: "visual", "residuals", "prefill" (a step in a context) or "logits"; `call` counts
    from 0.
    """

    def __init__(self, models, wrong):
        self._models = models
        self._wrong = wrong
        self._calls = {}

    def __getattr__(self, name):
        return getattr(self._models, name)

    def is_wrong(self, what):
        call = self._calls[what] = self._calls.get(what, -1) + 1
        return self._wrong(what, call)

    def visual(self, pair):
        found = self._models.visual(pair)
        return np.full_like(found, np.nan) if self.is_wrong("visual") else found

    def residuals(self, scene, encoding):
        found = self._models.residuals(scene, encoding)
        return np.full_like(found, np.nan) if self.is_wrong("residuals") else found

    def context(self, grid, capacity):
        bundle = self._models.bundle
        return DisturbedContext(
            self, self._models._decoder, bundle.manifest, bundle.embeddings, grid, capacity
        )


class DisturbedContext(Context):
    """The real decoder; what is wrong goes in as it would from a device, unseen."""

    def __init__(self, disturbed, *arguments):
        self._disturbed = disturbed
        super().__init__(*arguments)

    def append_step(self, visual, residuals):
        if self._disturbed.is_wrong("prefill"):
            visual = np.full_like(visual, np.nan)
        super().append_step(visual, residuals)

    def _run(self, embeddings, positions, residuals, rows):
        logits, length = super()._run(embeddings, positions, residuals, rows)
        if rows.size and self._disturbed.is_wrong("logits"):
            logits = np.full_like(logits, np.nan)
        return logits, length

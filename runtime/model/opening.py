"""The models of a bundle on an engine that is known to compute them right.

Before a bundle is run on a device for the first time, it proves itself there; what was found is
kept, and is asked again where anything that decides it has changed. An engine that fails, or can't
be loaded, is passed over with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from runtime.bundle.manifest import Manifest
from runtime.bundle.names import DECODER
from runtime.bundle.opening import Bundle
from runtime.bundle.vectors import ReferenceVectors, read_vectors
from runtime.engines.choice import (
    Asked,
    EngineChoice,
    EngineKind,
    Machine,
    choose_engine,
)
from runtime.engines.cuda import UNLIMITED, CudaSettings
from runtime.errors import EngineError
from runtime.model.models import EngineLoader, Models
from runtime.model.proof import (
    EXACT,
    ROWS_AT_ONCE,
    STEP_ROWS,
    Allowance,
    ProofFigure,
    prove,
    prove_decoder,
)
from runtime.model.standby import Standby
from runtime.model.verdicts import Subject, Verdict, Verdicts

# Engines in 16 bits: what their builder allows, and twice that for what rests on their output.
ALLOWANCES: dict[EngineKind, Allowance] = {
    "tensorrt": Allowance(encoders=0.05, following=0.1, odd_grid=False),
    "cpu": Allowance(brief=True),
}
LEAST_ROWS = 64  # that a device is asked to compute right in one run
FEWER = (ROWS_AT_ONCE, STEP_ROWS, 1)  # where it does not


@dataclass(frozen=True, slots=True, eq=False)
class OpenedModels:
    """`choice`: the engine that was taken, and why. `figures`: of a proof that ran just now."""

    choice: EngineChoice
    models: Models
    verdict: Verdict
    figures: tuple[ProofFigure, ...] = ()


def open_models(
    asked: Asked,
    bundle: Bundle,
    machine: Machine,
    profile: str = "live",
    threads: int = 0,
    cuda: CudaSettings = UNLIMITED,
    verdicts: Verdicts | None = None,
    again: bool = False,
    lost: Callable[[str], None] | None = None,
) -> OpenedModels:
    """Load a bundle on the first engine that computes it right, or on the one that is `asked` for.

    `verdicts`: None for the user's. `again`: whatever was found before. `lost`: with it, a device
    that is lost in mid-run is replaced by the next engine under `auto`, and it hears so. Raises
    EngineError, one line that names the graph and what it was off by, where no engine is left.
    """
    known = Verdicts.of_user() if verdicts is None else verdicts
    return _Opening(asked, bundle, machine, profile, threads, cuda, known, again, lost).open({})


@dataclass(frozen=True, slots=True, eq=False)
class _Opening:
    """The arguments of `open_models`."""

    asked: Asked
    bundle: Bundle
    machine: Machine
    profile: str
    threads: int
    cuda: CudaSettings
    known: Verdicts
    again: bool
    lost: Callable[[str], None] | None

    def open(self, refused: dict[EngineKind, str]) -> OpenedModels:
        """On the first engine that is not `refused`; those that fail are refused from now on."""
        while True:
            choice = choose_engine(
                self.asked,
                self.bundle,
                self.machine,
                self.profile,
                self.threads,
                self.cuda,
                refused,
            )
            is_last = self.asked != "auto" or choice.kind == "cpu"
            try:
                opened = self._proven(choice, refused)
            except EngineError as error:
                if is_last:
                    raise
                refused[choice.kind] = str(error)
                continue
            fault = opened.verdict.fault
            if fault is None:
                return opened
            if self.asked != "auto" and opened.verdict.rows is not None:
                return _in_rows(opened, opened.verdict.rows, fault)
            if is_last:
                raise EngineError(f"--engine {self.asked}: {_refusal(choice, fault)}")
            refused[choice.kind] = _refusal(choice, fault)

    def _proven(self, choice: EngineChoice, refused: dict[EngineKind, str]) -> OpenedModels:
        if self.lost is None or self.asked != "auto" or choice.kind == "cpu":
            return _proven(choice, _models(choice, choice.load), self.known, self.again)

        def following(gone: EngineChoice, reason: str) -> EngineChoice:
            """TensorRT and CUDA are lost together: they live on one device."""
            kinds: tuple[EngineKind, ...] = ("tensorrt", "cuda")
            refused.update(dict.fromkeys(kinds if gone.kind in kinds else (gone.kind,), reason))
            return replace(self, again=False, lost=None).open(refused).choice

        standby = Standby(choice, following, self.lost)
        opened = _proven(choice, _models(choice, standby.load), self.known, self.again)
        standby.arm()
        return opened


def largest_run(manifest: Manifest) -> int:
    """The rows that a device takes in one run of the decoder: a live step into two contexts, or a
    step and a question that is as long. More are prefilled in several runs, since no more of them
    are proven."""
    settings = manifest.settings
    return max(2 * settings.live_height * settings.live_width, LEAST_ROWS)


def _models(choice: EngineChoice, load: EngineLoader) -> Models:
    models = Models(choice.bundle, load)
    return models if choice.kind == "cpu" else models.in_rows(largest_run(choice.bundle.manifest))


def _proven(choice: EngineChoice, models: Models, known: Verdicts, again: bool) -> OpenedModels:
    subject = Subject.of(choice)
    verdict = None if again else known.find(subject)
    figures: tuple[ProofFigure, ...] = ()
    if verdict is None:
        vectors = read_vectors(choice.bundle.folder, choice.bundle.manifest)
        allowance = ALLOWANCES.get(choice.kind, EXACT)
        figures = _until_wrong(prove(models, vectors, allowance))
        verdict = Verdict(subject, None if figures[-1].holds else figures[-1].line)
        if not figures[-1].holds and figures[-1].graph == DECODER:
            verdict = replace(verdict, rows=_most_rows(models, vectors))
        known.keep(verdict)
    return OpenedModels(choice, models, verdict, figures)


def _most_rows(models: Models, vectors: ReferenceVectors) -> int | None:
    """With how many tokens prefilled at once the decoder is right; None: with none of FEWER."""
    for rows in FEWER:
        if _until_wrong(prove_decoder(models.in_rows(rows), vectors))[-1].holds:
            return rows
    return None


def _in_rows(opened: OpenedModels, rows: int, fault: str) -> OpenedModels:
    """The same engine, as far as it computes right."""
    some = "one token" if rows == 1 else f"{rows} tokens"
    reason = f"{opened.choice.reason}; prefills {some} at a time: {fault}"
    choice = replace(opened.choice, reason=reason)
    return replace(opened, choice=choice, models=opened.models.in_rows(rows))


def _refusal(choice: EngineChoice, fault: str) -> str:
    return (
        f"{choice.kind} computes wrong here ({fault}), as the bundle's reference vectors tell: "
        "update its driver and ONNX Runtime, or run with another --engine"
    )


def _until_wrong(figures: Iterable[ProofFigure]) -> tuple[ProofFigure, ...]:
    found = []
    for figure in figures:
        found.append(figure)
        if not figure.holds:
            break
    return tuple(found)

"""How far two codings of the same fixations agree: proposals and a person, or two persons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runtime.coding.ledger import CodingError

UNSURE = "unsure"
MISSING = "pip install 'gazeqwen-edge[agreement]'"


@dataclass(frozen=True, slots=True)
class ThingAgreement:
    """Of one thing against all others. `kappa`: None where it is not defined."""

    thing: str
    one: int
    other: int
    both: int
    kappa: float | None


@dataclass(frozen=True, slots=True)
class CodersAgreement:
    """`fixations`: that both have coded; `same`: of those, with the same thing, "unsure" among
    them; `kappa`, `alpha`: Cohen's and Krippendorff's (nominal), None where not defined."""

    fixations: int
    same: int
    kappa: float | None
    alpha: float | None
    things: tuple[ThingAgreement, ...]


def agreement(one: Mapping[int, str], other: Mapping[int, str]) -> CodersAgreement:
    """Compare two codings: the thing by the number of the fixation's row, empty for unsure.

    Raises CodingError where the libraries are missing that measure it.
    """
    rows = sorted(one.keys() & other.keys())
    first = [one[row] or UNSURE for row in rows]
    second = [other[row] or UNSURE for row in rows]
    names = sorted({*first, *second})
    things = []
    for name in names:
        here, there = [thing == name for thing in first], [thing == name for thing in second]
        both = sum(a and b for a, b in zip(here, there, strict=True))
        things.append(ThingAgreement(name, sum(here), sum(there), both, _kappa(here, there)))
    same = sum(a == b for a, b in zip(first, second, strict=True))
    alpha = _alpha(first, second, names)
    return CodersAgreement(len(rows), same, _kappa(first, second), alpha, tuple(things))


def lines(found: CodersAgreement) -> list[str]:
    """For a person: all of it, then thing by thing."""
    if found.fixations == 0:
        return ["no fixation was coded by both: there is nothing to compare"]
    share = 100 * found.same / found.fixations
    told = [
        f"{found.fixations} fixations coded by both, {found.same} alike ({share:.1f} %)",
        f"Cohen's kappa {_shown(found.kappa)}, Krippendorff's alpha {_shown(found.alpha)}",
    ]
    for each in found.things:
        told.append(
            f"  {each.thing}: {each.one} and {each.other}, both {each.both}, "
            f"kappa {_shown(each.kappa)}"
        )
    return told


def _kappa(one: Sequence[object], other: Sequence[object]) -> float | None:
    """None where both have but one and the same name, so that chance explains all."""
    if len({*one, *other}) < 2:
        return None
    try:
        from sklearn.metrics import cohen_kappa_score
    except ImportError as error:
        raise CodingError(f"agreement needs scikit-learn: {MISSING}") from error
    return float(cohen_kappa_score(one, other))


def _alpha(one: Sequence[str], other: Sequence[str], names: Sequence[str]) -> float | None:
    if len(names) < 2:
        return None
    try:
        import krippendorff
    except ImportError as error:
        raise CodingError(f"agreement needs krippendorff: {MISSING}") from error
    number = {name: place for place, name in enumerate(names)}
    units = [[number[thing] for thing in coder] for coder in (one, other)]
    return float(krippendorff.alpha(reliability_data=units, level_of_measurement="nominal"))


def _shown(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"

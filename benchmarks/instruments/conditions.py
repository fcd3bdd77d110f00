"""What a figure was measured under: without it, no figure of another day can be set beside it."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.bundle.opening import Bundle
from runtime.engines.gpu import find_gpu

CPU_FACTS = Path("/proc/cpuinfo")
FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimddp")
PACKAGES = ("numpy", "onnxruntime", "onnxruntime-gpu", "torch", "transformers")
ROOT = Path(__file__).parents[2]
SHORT_HASH = 12  # characters


@dataclass(frozen=True, slots=True)
class Conditions:
    """Where, when and of what. None: not known here, or there is none.

    `commit` ends in `+` where files differ from it; `inputs` is a sha256 over what was measured on,
    `repeats` says in words how often; `at` is UTC.
    """

    at: str
    commit: str | None
    machine: str
    processor: str
    features: tuple[str, ...]
    cores: int
    gpu: str | None
    versions: dict[str, str]
    bundle: str | None
    bundle_hash: str | None
    inputs: str
    repeats: str

    @classmethod
    def here(cls, repeats: str, inputs: str, bundle: Bundle | None = None) -> Conditions:
        """Those of this machine, now."""
        processor, features = cpu_features()
        gpu = find_gpu()
        return cls(
            datetime.now(timezone.utc).isoformat(timespec="seconds"),
            _commit(),
            f"{platform.system()} {platform.machine()}",
            processor,
            tuple(features),
            os.cpu_count() or 1,
            gpu and gpu.name,
            {"python": platform.python_version()} | dict(_versions()),
            bundle and bundle.manifest.name,
            bundle and bundle.manifest.digest,
            inputs,
            repeats,
        )

    def lines(self) -> Iterator[str]:
        """As a list of Markdown; what is not known is said to be."""
        for name, value in asdict(self).items():
            told = ", ".join(f"{k} {v}" for k, v in value.items()) if name == "versions" else value
            told = ", ".join(value) if name == "features" else told
            yield f"- {name.replace('_', ' ')}: {_shortened(name, told) or 'none known'}"


def input_hash(*parts: str | int | float | Path | NDArray[np.generic]) -> str:
    """sha256 over everything that decides what is measured on: values, arrays, contents of files.

    Raises OSError for a file that can't be read.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        elif isinstance(part, Path):
            digest.update(part.read_bytes())
        else:
            digest.update(repr(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()


def cpu_features(file: Path = CPU_FACTS) -> tuple[str, list[str]]:
    """The processor's name, and which of the instructions that matter here it has."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine(), []
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    flags = facts.get("flags", facts.get("Features", "")).split()
    return facts.get("model name", platform.machine()), [each for each in FEATURES if each in flags]


def _commit() -> str | None:
    """The commit that this code is of; None where there is no git or no repository."""
    try:
        commit, changes = (
            subprocess.run(
                ["git", "-C", str(ROOT), *asked], capture_output=True, text=True, check=True
            ).stdout.strip()
            for asked in (["rev-parse", "HEAD"], ["status", "--porcelain", "-uno"])
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+" if changes else "")


def _versions() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


def _shortened(name: str, told: object) -> str:
    text = "" if told is None else str(told)
    return text[:SHORT_HASH] if name in ("bundle_hash", "inputs") else text

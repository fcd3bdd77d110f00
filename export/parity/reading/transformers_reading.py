"""What transformers itself reads of a Qwen2.5-VL folder, without the memory that reading takes.

`from_pretrained` does all of its work: it chooses files, reads the config, renames, ties. Only the
values are withheld: each stored tensor is one number, seen in the tensor's shape. The number found
in a parameter afterwards tells which stored tensor it was given.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import transformers
from safetensors import safe_open
from torch import Tensor, nn
from transformers import AutoConfig, PreTrainedConfig, Qwen2_5_VLForConditionalGeneration
from transformers.utils import logging

from export.checkpoints.common import CheckpointError

ORACLE = f"transformers {transformers.__version__}"


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor as it lies in a file."""

    file: Path
    name: str

    def read(self) -> Tensor:
        """Its values as stored, the file's own pages: never write to them."""
        with safe_open(self.file, "pt") as shard:
            return shard.get_tensor(self.name)

    def rows(self, wanted: Sequence[int]) -> Tensor:
        """Some of its rows, float32."""
        with safe_open(self.file, "pt") as shard:
            stored = shard.get_slice(self.name)
            return torch.stack([stored[row].float() for row in wanted])


@dataclass(frozen=True, eq=False)
class TransformersReading:
    """A model whose parameters hold no values yet, and where each takes them from.

    `sources`: by the parameter's name in transformers. `adrift`: parameters that no stored tensor
    reaches as it is.
    """

    model: Qwen2_5_VLForConditionalGeneration
    sources: Mapping[str, StoredTensor]
    adrift: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path, layers: int | None = None) -> TransformersReading:
        """Read a folder, or the first `layers` of its decoder.

        Raises CheckpointError where transformers can't.
        """
        places: list[StoredTensor] = []

        def opened(file: str, *_: object, **__: object) -> _Withheld:
            return _Withheld(Path(file), places)

        try:
            with quiet(), patch("transformers.modeling_utils.safe_open", opened):
                config = AutoConfig.from_pretrained(folder)
                if layers is not None:
                    _cut(config, layers)
                model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
                    folder, config=config, dtype=torch.float32
                )
        except CheckpointError:
            raise
        except Exception as error:  # whatever it is, the folder can't be compared
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise CheckpointError(f"{folder}: {ORACLE} can't read it: {reason[0]}") from error
        found = {
            name: _source(parameter, places)
            for name, parameter in model.named_parameters(remove_duplicate=False)
        }
        sources = {name: place for name, place in found.items() if place is not None}
        adrift = tuple(name for name, place in found.items() if place is None)
        return cls(model.eval().requires_grad_(False), sources, adrift)

    def fill(self, module: nn.Module, prefix: str) -> None:
        """Give a part of the model its values, float32; `prefix`: its name, with a dot."""
        names = [name for name, _ in module.named_parameters()]
        # One piece of memory: freed in many, it would stay with the process.
        sizes = [module.get_parameter(name).numel() for name in names]
        memory = torch.empty(sum(sizes))
        for name, place in zip(names, memory.split(sizes), strict=True):
            parameter = module.get_parameter(name)
            shaped = place.view(parameter.shape).copy_(self.sources[prefix + name].read())
            parameter.data = shaped


class _Withheld:
    """Stands for safetensors' opened file: names and shapes are the file's, values are numbers."""

    def __init__(self, path: Path, places: list[StoredTensor]) -> None:
        self._path = path
        self._places = places
        with safe_open(path, "pt") as file:
            self._shapes = {
                name: file.get_slice(name).get_shape()
                for name in file.keys()  # noqa: SIM118
            }
            self._metadata = file.metadata()

    def __enter__(self) -> _Withheld:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def keys(self) -> list[str]:
        return list(self._shapes)

    def metadata(self) -> Any:  # noqa: ANN401 - the library's own
        return self._metadata

    def get_slice(self, name: str) -> Tensor:
        number = float(len(self._places))
        self._places.append(StoredTensor(self._path, name))
        return torch.tensor(number).expand(self._shapes[name])

    get_tensor = get_slice


def _source(parameter: Tensor, places: Sequence[StoredTensor]) -> StoredTensor | None:
    """The stored tensor whose number fills a parameter; None where it is not one number."""
    if any(
        step for step, size in zip(parameter.stride(), parameter.shape, strict=True) if size > 1
    ):
        return None
    return places[int(parameter[(0,) * parameter.ndim])]


def _cut(config: PreTrainedConfig, layers: int) -> None:
    text = config.get_text_config()
    text.num_hidden_layers = layers
    if text.layer_types is not None:
        text.layer_types = text.layer_types[:layers]


@contextmanager
def quiet() -> Iterator[None]:
    """transformers reports its loading; that is no news here."""
    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()

"""Qwen2.5-VL folders in which something is amiss, each refused in one line."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from export.checkpoints.common import CheckpointError
from export.checkpoints.qwen import QwenCheckpoint
from export.random.weights import write_random

INDEX = "model.safetensors.index.json"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_random("tiny", 1, tmp_path_factory.mktemp("tiny")).qwen_folder


@pytest.fixture
def folder(written, tmp_path):
    """A copy to damage."""
    return Path(shutil.copytree(written, tmp_path / "qwen"))


def edit_config(folder, edit):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config = edit(config) or config
    path.write_text(json.dumps(config))


def no_config(folder):
    (folder / "config.json").unlink()


def broken_config(folder):
    (folder / "config.json").write_text("{")


def no_weights(folder):
    (folder / INDEX).unlink()


def broken_index(folder):
    (folder / INDEX).write_text('{"weight_map": []}')


def missing_shard(folder):
    (folder / "model-00002-of-00003.safetensors").unlink()


def truncated_shard(folder):
    shard = folder / "model-00002-of-00003.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1])


def rewritten_shard(edit):
    def damage(folder):
        shard = folder / "model-00003-of-00003.safetensors"
        state = load_file(shard)
        edit(state)
        save_file(state, shard)

    return damage


def config_with(edit):
    return lambda folder: edit_config(folder, edit)


DAMAGES = {
    "no config": (no_config, "not a Qwen2.5-VL folder"),
    "broken config": (broken_config, "config.json: not valid JSON"),
    "another model": (
        config_with(lambda config: config.update(model_type="qwen2_vl")),
        "model_type is 'qwen2_vl'",
    ),
    "not an object": (config_with(lambda config: ["qwen2_5_vl"]), "model_type is None"),
    "quantised": (
        config_with(lambda config: config.update(quantization_config={"quant_method": "awq"})),
        "quantised",
    ),
    "no weights": (no_weights, "neither model.safetensors.index.json nor model.safetensors"),
    "broken index": (broken_index, "not an index"),
    "missing shard": (missing_shard, "shards are missing: model-00002-of-00003.safetensors"),
    "truncated shard": (truncated_shard, "model-00002-of-00003.safetensors: truncated"),
    "missing tensor": (
        rewritten_shard(lambda state: state.pop("model.norm.weight")),
        "tensors are missing: norm.weight",
    ),
    "wrong shape": (
        rewritten_shard(lambda state: state.update({"model.norm.weight": torch.ones(65)})),
        r"norm.weight has shape \(65,\), its config says \(64,\)",
    ),
    "stored as integers": (
        rewritten_shard(
            lambda state: state.update({"model.norm.weight": torch.ones(64, dtype=torch.int8)})
        ),
        "norm.weight is stored as I8",
    ),
    "a layer too many": (
        config_with(lambda config: config.update(num_hidden_layers=7)),
        "its config excludes: layers.7.",
    ),
    "a layer too few": (
        config_with(lambda config: config.update(num_hidden_layers=9)),
        "tensors are missing: layers.8.",
    ),
    "untied without a head": (
        config_with(lambda config: config.update(tie_word_embeddings=False)),
        "tensors are missing: lm_head.weight",
    ),
    "no tokens_per_second": (
        config_with(lambda config: config["vision_config"].pop("tokens_per_second") and None),
        "tokens_per_second is missing",
    ),
    "no width": (
        config_with(lambda config: config.update(hidden_size=None)),
        "hidden_size is None, not a positive whole number",
    ),
    "no sections": (
        config_with(lambda config: config.pop("rope_scaling") and None),
        "mrope_section is None",
    ),
    "sections that do not fit": (
        config_with(lambda config: config["rope_scaling"].update(mrope_section=[1, 1, 1])),
        "does not fill half of 16",
    ),
    "another rotary rule": (
        config_with(lambda config: config["rope_scaling"].update(type="yarn")),
        "'yarn' are not supported",
    ),
    "sliding window": (
        config_with(lambda config: config.update(use_sliding_window=True, max_window_layers=2)),
        "sliding-window attention is not supported",
    ),
    "another activation": (
        config_with(lambda config: config.update(hidden_act="gelu")),
        "hidden_act is not silu",
    ),
    "a tower of another width": (
        config_with(lambda config: config["vision_config"].update(out_hidden_size=32)),
        "out_hidden_size differs",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_folder_that_is_amiss_is_refused_in_one_line(folder, damage):
    damaging, message = DAMAGES[damage]
    damaging(folder)
    with pytest.raises(CheckpointError, match=message) as refusal:
        QwenCheckpoint.open(folder)
    assert "\n" not in str(refusal.value)

import hashlib
import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen2_5_VLForConditionalGeneration

from export.checkpoints.common import CheckpointError
from export.checkpoints.qwen import QwenCheckpoint
from export.random.shapes import SHAPES
from export.random.weights import write_random

INDEX = "model.safetensors.index.json"
CONFIG_7B = {
    "model_type": "qwen2_5_vl",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-06,
    "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
    "vision_config": {"hidden_size": 1280, "tokens_per_second": 2},
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_random("tiny", 1, tmp_path_factory.mktemp("tiny")).qwen_folder


@pytest.fixture
def folder(written, tmp_path):
    """A copy to damage."""
    return Path(shutil.copytree(written, tmp_path / "qwen"))


@pytest.fixture(scope="module")
def model(written):
    return Qwen2_5_VLForConditionalGeneration.from_pretrained(written, dtype=torch.float32)


def edit_config(folder, edit):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config = edit(config) or config
    path.write_text(json.dumps(config))


def new_layout(folder, target):
    """The same weights as transformers 4.52 to 4.57 stores them, in one file."""
    target.mkdir()
    state = {}
    for shard in sorted(folder.glob("*.safetensors")):
        state |= load_file(shard)
    renamed = {}
    for name, tensor in state.items():
        if name.startswith("visual."):
            renamed[f"model.{name}"] = tensor
        elif name.startswith("model."):
            renamed[name.replace("model.", "model.language_model.", 1)] = tensor
        else:
            renamed[name] = tensor
    save_file(renamed, target / "model.safetensors", {"format": "pt"})
    shutil.copy(folder / "config.json", target)
    edit_config(target, nested)
    return target


def nested(config):
    """The decoder's keys one level down."""
    outer = ("architectures", "model_type", "tie_word_embeddings", "vision_config")
    kept = {key: config[key] for key in config if key in outer or key.endswith("token_id")}
    return kept | {"text_config": {key: config[key] for key in config if key not in kept}}


@pytest.mark.parametrize("layout", ["hub", "4.52"])
def test_every_tensor_is_the_one_that_transformers_loads(written, model, layout, tmp_path):
    folder = written if layout == "hub" else new_layout(written, tmp_path / "new")
    checkpoint = QwenCheckpoint.open(folder)
    state = model.state_dict()
    for name in checkpoint.decoder.shapes():
        assert torch.equal(checkpoint.tensor(name), state[f"model.language_model.{name}"]), name
    tower = checkpoint.vision_state()
    assert set(tower) == set(model.model.visual.state_dict())
    for name, tensor in tower.items():
        assert torch.equal(tensor, state[f"model.visual.{name}"]), name
        assert torch.equal(tensor, checkpoint.tensor(f"visual.{name}")), name


def test_transformers_loads_both_layouts_with_nothing_missing(written, tmp_path):
    for folder in (written, new_layout(written, tmp_path / "new")):
        _, report = Qwen2_5_VLForConditionalGeneration.from_pretrained(
            folder, output_loading_info=True
        )
        assert not any(report.values()), report


def test_tied_embeddings_serve_as_the_head(written):
    checkpoint = QwenCheckpoint.open(written)
    assert checkpoint.decoder.tied
    assert "lm_head.weight" not in checkpoint.decoder.shapes()
    assert torch.equal(
        checkpoint.tensor("lm_head.weight"), checkpoint.tensor("embed_tokens.weight")
    )


def test_an_untied_head_is_read_from_the_file(folder):
    head = torch.randn(512, 64)
    save_file({"lm_head.weight": head}, folder / "head.safetensors")
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"]["lm_head.weight"] = "head.safetensors"
    (folder / INDEX).write_text(json.dumps(index))
    edit_config(folder, lambda config: config.update(tie_word_embeddings=False))
    checkpoint = QwenCheckpoint.open(folder)
    assert not checkpoint.decoder.tied
    assert torch.equal(checkpoint.tensor("lm_head.weight"), head)


def test_a_tensor_comes_as_stored_or_as_asked(folder):
    shard = folder / json.loads((folder / INDEX).read_text())["weight_map"]["model.norm.weight"]
    state = load_file(shard)
    state["model.norm.weight"] = state["model.norm.weight"].bfloat16()
    save_file(state, shard)
    checkpoint = QwenCheckpoint.open(folder)
    stored, asked = (
        checkpoint.tensor("norm.weight"),
        checkpoint.tensor("norm.weight", torch.float32),
    )
    assert (stored.dtype, asked.dtype) == (torch.bfloat16, torch.float32)
    assert torch.equal(stored.float(), asked)
    assert checkpoint.vision_state(torch.float16)["merger.ln_q.weight"].dtype == torch.float16


def test_hashes_cover_every_file_the_bundle_comes_from(written):
    hashes = QwenCheckpoint.open(written).hashes()
    weights = {path.name for path in written.glob("*.safetensors")}
    assert len(weights) > 1
    assert set(hashes) == weights | {
        "config.json",
        INDEX,
        "tokenizer.json",
        "tokenizer_config.json",
    }
    for name, digest in hashes.items():
        assert digest == hashlib.sha256((written / name).read_bytes()).hexdigest()


def test_a_7b_checkpoint_opens_and_gives_a_tensor_without_being_loaded(tmp_path):
    """Sixteen gigabytes, all holes: reading more than was asked for would show in memory."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIG_7B))
    size = SHAPES["7b"]
    shapes = {f"model.{name}": shape for name, shape in size.decoder.shapes().items()}
    shapes["lm_head.weight"] = shapes.pop("model.lm_head.weight")
    shapes |= {f"visual.{name}": shape for name, shape in size.vision.shapes().items()}
    entries, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * torch.Size(shape).numel()
        entries[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    header = json.dumps(entries).encode()
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + end)
    program = (
        "import resource, sys, pathlib, torch\n"
        "from export.checkpoints.qwen import QwenCheckpoint\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "checkpoint = QwenCheckpoint.open(pathlib.Path(sys.argv[1]))\n"
        "checkpoint.tensor('layers.27.mlp.down_proj.weight', torch.float32)\n"
        "print(peak() - before)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    one_tensor_kib = 3584 * 18944 * (2 + 4) / 1024
    assert int(result.stdout) < one_tensor_kib + 100 * 1024


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
        config_with(lambda config: config.update(use_sliding_window=True)),
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


def test_no_folder_and_no_such_tensor_are_refused(written, tmp_path):
    with pytest.raises(CheckpointError, match="there is no such folder"):
        QwenCheckpoint.open(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"there is no tensor layers\.8"):
        QwenCheckpoint.open(written).tensor("layers.8.input_layernorm.weight")


def test_the_tiny_geometry_survives_its_own_config(written):
    checkpoint = QwenCheckpoint.open(written)
    assert (checkpoint.decoder, checkpoint.vision) == (
        SHAPES["tiny"].decoder,
        SHAPES["tiny"].vision,
    )

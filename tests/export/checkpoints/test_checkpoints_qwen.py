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
        "generation_config.json",
        "preprocessor_config.json",
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

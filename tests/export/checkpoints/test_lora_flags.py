"""What a LoRA's config says beside rank and alpha: honoured as peft does, or refused."""

import pytest
import torch
from peft import LoraConfig, get_peft_model

from export.checkpoints.common import CheckpointError
from export.checkpoints.gaze import load_gaze
from export.checkpoints.qwen import QwenCheckpoint
from export.graphs.weights import DecoderWeights
from export.random.weights import write_random


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_random("tiny", 2, tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def load(written, tmp_path):
    def with_config(**flags):
        content = torch.load(written.gaze_file, weights_only=True)
        content["lora_config"] |= flags
        torch.save(content, tmp_path / "gaze.pt")
        return load_gaze(tmp_path / "gaze.pt")

    return with_config


@pytest.mark.parametrize("stabilised", [False, True])
def test_the_scale_is_the_one_of_peft(load, written, stabilised):
    name = "layers.3.self_attn.q_proj.weight"
    qwen = QwenCheckpoint.open(written.qwen_folder)
    gaze = load(use_rslora=stabilised)
    pair = gaze.lora[3, "q_proj"]
    linear = torch.nn.Linear(64, 64, bias=False)
    linear.weight.data.copy_(qwen.tensor(name))
    config = LoraConfig(r=8, lora_alpha=16, use_rslora=stabilised, target_modules=["0"])
    model = get_peft_model(torch.nn.Sequential(linear), config)
    model.base_model.model[0].lora_A["default"].weight.data.copy_(pair.down)
    model.base_model.model[0].lora_B["default"].weight.data.copy_(pair.up)
    merged = model.merge_and_unload()[0].weight.detach()
    torch.testing.assert_close(DecoderWeights(qwen, gaze).tensor(name), merged, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "flags",
    [
        {"use_dora": True},
        {"rank_pattern": {"q_proj": 4}},
        {"alpha_pattern": {"v_proj": 4}},
        {"fan_in_fan_out": True},
        {"bias": "all"},
        {"init_lora_weights": "pissa"},
        {"layers_to_transform": torch.tensor([3, 4])},
    ],
)
def test_what_would_change_the_merge_is_refused(load, flags):
    (name,) = flags
    with pytest.raises(CheckpointError, match=f"its lora_config has {name} .* merge this LoRA"):
        load(**flags)


def test_what_changes_nothing_is_read_over(load):
    gaze = load(
        use_dora=False,
        bias="none",
        rank_pattern={},
        dropout=0.1,
        target_modules=["q_proj", "v_proj"],
        layers_to_transform=None,
    )
    assert gaze.lora_scale == 2.0


@pytest.mark.parametrize("flags", [{"alpha": float("nan")}, {"alpha": True}, {"rank": True}])
def test_a_scale_that_is_no_number_is_refused(load, flags):
    with pytest.raises(CheckpointError, match="no 'lora_config' with rank and alpha"):
        load(**flags)

from pathlib import PurePosixPath

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import Qwen2_5_VLForConditionalGeneration

from export.checkpoints.common import CheckpointError
from export.checkpoints.gaze import check_fit, load_gaze
from export.checkpoints.qwen import QwenCheckpoint
from export.checkpoints.vjepa import load_vjepa
from export.graphs.weights import DecoderWeights
from export.modules.resampler import ResamplerGeometry
from export.random.weights import write_random

OLD_PREFIX, NEW_PREFIX = "model.layers.", "model.language_model.layers."
FIRST_QUERY = "model.layers.0.self_attn.q_proj.lora_"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_random("tiny", 2, tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def qwen(written):
    return QwenCheckpoint.open(written.qwen_folder)


@pytest.fixture
def content(written):
    """What a checkpoint file holds, to change."""
    return torch.load(written.gaze_file, weights_only=True)


@pytest.fixture
def load(content, tmp_path):
    def saved_and_loaded():
        torch.save(content, tmp_path / "gaze.pt")
        return load_gaze(tmp_path / "gaze.pt")

    return saved_and_loaded


def with_prefix(content, prefix):
    lora = content["lora_state_dict"]
    content["lora_state_dict"] = {
        name.replace(OLD_PREFIX, prefix): tensor for name, tensor in lora.items()
    }


def flattened(state):
    """The names of the time when there was one module."""
    singular = {"proj_ins": "proj_in", "proj_outs": "proj_out"}
    flat = {"amplitude": state["amplitude"]}
    for name, tensor in state.items():
        kind, *path = name.split(".")
        if path[:1] == ["0"]:
            flat[".".join([singular.get(kind, kind), *path[1:]])] = tensor
    return flat


def test_the_resampler_holds_the_tensors_and_sizes_of_the_file(load, content):
    content["config"] |= {"gaze_input": "coord_pe", "per_layer": True, "version": "gazelens"}
    gaze = load()
    assert gaze.resampler.geometry == ResamplerGeometry(
        d_vjepa=64, d_llm=64, n_layers=8, n_latents=8, d_latent=32, n_blocks=2, layers=(1, 3, 5, 7)
    )
    state = gaze.resampler.state_dict()
    assert set(state) == set(content["state_dict"])
    assert all(torch.equal(state[name], tensor) for name, tensor in content["state_dict"].items())
    assert not gaze.resampler.training


def test_training_checkpoints_hold_more_and_are_read_too(load, content):
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))])
    content |= {"epoch": 3, "optimizer": optimizer.state_dict(), "val_acc": 61.0}
    assert load().rank == 8


@pytest.mark.parametrize("prefix", [OLD_PREFIX, NEW_PREFIX])
def test_lora_is_found_under_both_prefixes(load, content, prefix):
    original = content["lora_state_dict"]
    with_prefix(content, prefix)
    gaze = load()
    assert (gaze.rank, gaze.alpha, gaze.lora_scale) == (8, 16.0, 2.0)
    assert set(gaze.lora) == {(layer, name) for layer in range(8) for name in ("q_proj", "v_proj")}
    for (layer, projection), pair in gaze.lora.items():
        name = f"{OLD_PREFIX}{layer}.self_attn.{projection}.lora_"
        assert torch.equal(pair.down, original[f"{name}A"])
        assert torch.equal(pair.up, original[f"{name}B"])


@pytest.mark.parametrize("prefix", [OLD_PREFIX, NEW_PREFIX])
def test_the_merge_is_the_one_of_peft(load, content, written, qwen, prefix):
    with_prefix(content, prefix)
    gaze = load()
    plain = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        written.qwen_folder, dtype=torch.float32
    )
    settings = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"])
    adapted = get_peft_model(plain, settings)
    filled = 0
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            parts = name.split(".")
            pair = gaze.lora[int(parts[parts.index("layers") + 1]), parts[-4]]
            parameter.data.copy_(pair.down if parts[-3] == "lora_A" else pair.up)
            filled += 1
    assert filled == 32
    merged = adapted.merge_and_unload().model.language_model.state_dict()
    weights = DecoderWeights(qwen, gaze)
    for name in qwen.decoder.shapes():
        tensor = weights.tensor(name, torch.float32)
        if name.endswith(("q_proj.weight", "v_proj.weight")):
            assert (tensor - qwen.tensor(name)).abs().max() > 1e-2, name
            torch.testing.assert_close(tensor, merged[name], rtol=0, atol=1e-6)
        else:
            assert torch.equal(tensor, merged[name]), name


def test_merged_weights_keep_the_stored_type_unless_asked(load, qwen):
    name = "layers.3.self_attn.v_proj.weight"
    weights = DecoderWeights(qwen, load())
    assert weights.tensor(name).dtype == torch.float32
    assert weights.tensor(name, torch.bfloat16).dtype == torch.bfloat16


def test_without_lora_the_weights_are_those_of_the_model(load, content, qwen):
    del content["lora_state_dict"], content["lora_config"]
    gaze = load()
    assert (gaze.lora, gaze.rank, gaze.alpha) == (None, None, None)
    name = "layers.3.self_attn.q_proj.weight"
    for weights in (DecoderWeights(qwen, gaze), DecoderWeights(qwen, None)):
        assert torch.equal(weights.tensor(name), qwen.tensor(name))


def test_an_old_checkpoint_is_refused_by_the_names_it_lacks(load, content):
    """Its one module is recognised: 35 tensors a module, so that three modules lack 105."""
    content["state_dict"] = flattened(content["state_dict"])
    assert len(content["state_dict"]) == 36
    with pytest.raises(
        CheckpointError,
        match=r"one module where 4 are needed: it lacks latents\.1, .* and 101 more$",
    ):
        load()


def lora_edit(edit):
    return lambda content: edit(content["lora_state_dict"])


def renamed(old, new):
    return lora_edit(lambda lora: lora.update({new: lora.pop(old)}))


def narrowed(content):
    content["lora_state_dict"][f"{FIRST_QUERY}B"] = torch.ones(63, 8)


MISFITS = {
    "no state dict": (lambda content: content.pop("state_dict"), "it has no 'state_dict'"),
    "no config": (lambda content: content.pop("config"), "it has no 'config'"),
    "a size missing": (
        lambda content: content["config"].pop("d_llm"),
        "its config gives d_llm as None",
    ),
    "a size that is text": (
        lambda content: content["config"].update(n_blocks="2"),
        "its config gives n_blocks as '2'",
    ),
    "an encoding of odd width": (
        lambda content: content["config"].update(d_latent=34),
        "d_latent 34 is not a multiple of 4",
    ),
    "fewer layers than modules": (
        lambda content: content["config"].update(n_layers=3),
        "3 layers are fewer",
    ),
    "a module missing": (
        lambda content: content["state_dict"].pop("proj_outs.3.weight"),
        "as a GazeQwen resampler it lacks proj_outs.3.weight",
    ),
    "config and tensors that differ": (
        lambda content: content["config"].update(d_vjepa=32),
        r"proj_ins.0.weight of shape \(32, 64\) where \(32, 32\) fits",
    ),
    "the other architecture, old": (
        lambda content: content["state_dict"].update({"proj_gaze.0.weight": torch.ones(1)}),
        "another architecture.*proj_gaze.0.weight",
    ),
    "the other architecture, new": (
        lambda content: content["state_dict"].update({"proj_gazes.0.0.weight": torch.ones(1)}),
        "another architecture.*proj_gazes.0.0.weight",
    ),
    "a tensor unheard of": (
        lambda content: content["state_dict"].update(pool_query=torch.ones(1)),
        "another architecture: pool_query",
    ),
    "LoRA of a projection that takes none": (
        renamed(f"{FIRST_QUERY}A", "model.layers.0.self_attn.k_proj.lora_A"),
        "k_proj.lora_A matches no decoder projection",
    ),
    "LoRA of the vision tower": (
        renamed(f"{FIRST_QUERY}A", "visual.blocks.0.attn.qkv.lora_A"),
        "visual.blocks.0.attn.qkv.lora_A matches no decoder projection",
    ),
    "LoRA under a prefix unheard of": (
        renamed(f"{FIRST_QUERY}A", f"student.{FIRST_QUERY}A"),
        r"student\.model\.layers\.0\.self_attn\.q_proj\.lora_A matches no",
    ),
    "LoRA under both prefixes at once": (
        lora_edit(
            lambda lora: lora.update(
                {f"{NEW_PREFIX}0.self_attn.q_proj.lora_A": lora[f"{FIRST_QUERY}A"]}
            )
        ),
        "is there twice",
    ),
    "half a pair": (
        lora_edit(lambda lora: lora.pop("model.layers.5.self_attn.v_proj.lora_B")),
        "layers.5.self_attn.v_proj lacks its lora_B",
    ),
    "LoRA of another rank": (
        lambda content: content["lora_config"].update(rank=4),
        "not rank 4",
    ),
    "no LoRA config": (lambda content: content.pop("lora_config"), "no 'lora_config'"),
    "no alpha": (lambda content: content["lora_config"].pop("alpha"), "no 'lora_config'"),
    "more than tensors": (
        lambda content: content.update(notes=PurePosixPath("a")),
        "needs more than tensors",
    ),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_a_checkpoint_that_is_amiss_is_refused_in_one_line(load, content, misfit):
    edit, message = MISFITS[misfit]
    edit(content)
    with pytest.raises(CheckpointError, match=message) as refusal:
        load()
    assert "\n" not in str(refusal.value)


def moved_to_layer_eight(content):
    lora = content["lora_state_dict"]
    for half in "AB":
        lora[f"model.layers.8.self_attn.q_proj.lora_{half}"] = lora.pop(f"{FIRST_QUERY}{half}")


def resized(**sizes):
    """Another geometry, with tensors that agree with it."""

    def edit(content):
        content["config"] |= sizes
        state, config = content["state_dict"], content["config"]
        for module in range(4):
            state[f"proj_ins.{module}.weight"] = torch.ones(32, config["d_vjepa"])
            state[f"proj_outs.{module}.weight"] = torch.ones(config["d_llm"], 32)
        state["amplitude"] = torch.ones(config["n_layers"])

    return edit


FITS = {
    "as written": (lambda content: None, None),
    "features of another width": (resized(d_vjepa=768), "V-JEPA features of width 768.*has 64"),
    "a decoder of another depth": (resized(n_layers=28), "so many layers: 28, this one has 8"),
    "a decoder of another width": (resized(d_llm=3584), "a decoder of width 3584.*has 64"),
    "LoRA past the last layer": (moved_to_layer_eight, "layer 8, which matches no layer"),
    "LoRA of another width": (narrowed, r"layer 0, q_proj, is for .*\(63, 64\).*\(64, 64\)"),
}


@pytest.mark.parametrize("fit", FITS)
def test_checkpoints_must_belong_together(load, content, written, qwen, fit):
    edit, message = FITS[fit]
    edit(content)
    gaze = load()
    encoder = load_vjepa(written.vjepa_file, written.vjepa_pixels)
    if message is None:
        check_fit(gaze, qwen, encoder)
        return
    with pytest.raises(CheckpointError, match=message) as refusal:
        check_fit(gaze, qwen, encoder)
    assert "\n" not in str(refusal.value)

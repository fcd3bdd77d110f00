import pickle
from pathlib import PurePosixPath

import pytest
import torch

from export.checkpoints.common import CheckpointError
from export.checkpoints.vjepa import load_vjepa
from export.modules.vjepa import VJepaGeometry

WIDTH = 64
# Every name that the released encoder has, at one block, without its wrappers.
RELEASED = {
    "img_mod_embed": (1, 1, WIDTH),
    "video_mod_embed": (1, 1, WIDTH),
    "patch_embed.proj.weight": (WIDTH, 3, 2, 16, 16),
    "patch_embed.proj.bias": (WIDTH,),
    "patch_embed_img.proj.weight": (WIDTH, 3, 1, 16, 16),
    "patch_embed_img.proj.bias": (WIDTH,),
    "blocks.0.norm1.weight": (WIDTH,),
    "blocks.0.norm1.bias": (WIDTH,),
    "blocks.0.attn.qkv.weight": (3 * WIDTH, WIDTH),
    "blocks.0.attn.qkv.bias": (3 * WIDTH,),
    "blocks.0.attn.proj.weight": (WIDTH, WIDTH),
    "blocks.0.attn.proj.bias": (WIDTH,),
    "blocks.0.norm2.weight": (WIDTH,),
    "blocks.0.norm2.bias": (WIDTH,),
    "blocks.0.mlp.fc1.weight": (4 * WIDTH, WIDTH),
    "blocks.0.mlp.fc1.bias": (4 * WIDTH,),
    "blocks.0.mlp.fc2.weight": (WIDTH, 4 * WIDTH),
    "blocks.0.mlp.fc2.bias": (WIDTH,),
    **{f"norms_block.{norm}.{part}": (WIDTH,) for norm in range(4) for part in ("weight", "bias")},
}


@pytest.fixture
def state():
    torch.manual_seed(0)
    return {name: torch.randn(shape) for name, shape in RELEASED.items()}


def save(path, state, wrapper="module.backbone.", **others):
    content = {"ema_encoder": {wrapper + name: tensor for name, tensor in state.items()}}
    torch.save(content | others, path)
    return path


@pytest.mark.parametrize("wrapper", ["module.backbone.", "module.", "backbone.", ""])
def test_the_encoder_holds_the_released_tensors(state, wrapper, tmp_path):
    encoder = load_vjepa(save(tmp_path / "vjepa.pt", state, wrapper, epoch=3), pixels=64)
    assert encoder.geometry == VJepaGeometry(width=WIDTH, depth=1, pixels=64)
    loaded = encoder.state_dict()
    assert set(RELEASED) - set(loaded) == {
        "img_mod_embed",
        "patch_embed_img.proj.weight",
        "patch_embed_img.proj.bias",
    }
    assert all(torch.equal(loaded[name], state[name]) for name in loaded)
    assert not encoder.training
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_the_frames_are_384_pixels_unless_said_otherwise(state, tmp_path):
    encoder = load_vjepa(save(tmp_path / "vjepa.pt", state))
    assert (encoder.geometry.side, encoder.geometry.tubelets) == (24, 8)


def test_half_precision_becomes_float32(state, tmp_path):
    halved = {name: tensor.bfloat16() for name, tensor in state.items()}
    encoder = load_vjepa(save(tmp_path / "vjepa.pt", halved))
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.float32}


def without(name):
    return lambda state: state.pop(name)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without("video_mod_embed"), "as a V-JEPA 2.1 encoder it lacks video_mod_embed"),
        (without("blocks.0.mlp.fc2.bias"), "lacks blocks.0.mlp.fc2.bias"),
        (without("patch_embed.proj.weight"), "no V-JEPA video encoder"),
        (lambda state: state.update({"cls_token": torch.ones(1)}), "another architecture: cls"),
        (
            lambda state: state.update({"blocks.0.mlp.fc1.bias": torch.ones(7)}),
            r"blocks.0.mlp.fc1.bias of shape \(7,\) where \(256,\) fits",
        ),
        (lambda state: state.update({"norms_block.0.bias": 3}), "is not a tensor"),
    ],
)
def test_an_encoder_that_differs_is_refused_by_name(state, damage, message, tmp_path):
    damage(state)
    with pytest.raises(CheckpointError, match=message) as refusal:
        load_vjepa(save(tmp_path / "vjepa.pt", state))
    assert "\n" not in str(refusal.value)


def test_frames_must_be_whole_patches(state, tmp_path):
    with pytest.raises(CheckpointError, match=r"100 pixels are not a multiple of the patch \(16\)"):
        load_vjepa(save(tmp_path / "vjepa.pt", state), pixels=100)


def truncated(path):
    torch.save({"ema_encoder": {"weight": torch.ones(1000)}}, path)
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "there is no such file"),
        (lambda path: path.write_text("not a checkpoint"), "not a PyTorch file of tensors only"),
        (lambda path: path.write_bytes(b""), "not a PyTorch file of tensors only"),
        (truncated, "damaged or incomplete"),
        (
            lambda path: torch.save({"ema_encoder": PurePosixPath("a")}, path),
            "needs more than tensors .*PurePosixPath.*could run code",
        ),
        (
            lambda path: path.write_bytes(pickle.dumps({"ema_encoder": PurePosixPath("a")})),
            "a pickle that needs more than tensors",
        ),
        (lambda path: torch.save([1], path), "it holds a list"),
        (lambda path: torch.save({"encoder": {}}, path), "it has no 'ema_encoder'"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused_in_one_line(write, message, tmp_path):
    path = tmp_path / "vjepa.pt"
    write(path)
    with pytest.raises(CheckpointError, match=message) as refusal:
        load_vjepa(path)
    assert "\n" not in str(refusal.value)


def test_a_file_of_the_time_before_archives_is_read(state, tmp_path):
    path = tmp_path / "vjepa.pt"
    torch.save({"ema_encoder": state}, path, _use_new_zipfile_serialization=False)
    assert torch.equal(load_vjepa(path).video_mod_embed, state["video_mod_embed"])

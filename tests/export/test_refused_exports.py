"""What can be known before anything is written is said then: one line, and nothing is written."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from export.__main__ import main
from export.lock import locked

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 14244\n"


@pytest.fixture
def checkpoints(tiny_folder, tmp_path):
    return shutil.copytree(tiny_folder.with_name("tiny-checkpoints"), tmp_path / "checkpoints")


@pytest.fixture
def refusal(checkpoints, tmp_path, capsys):
    """Export, which must fail; what was said after `error: `. A bundle that was there stays."""

    def run(*more, out=tmp_path / "out"):
        out.mkdir(exist_ok=True)
        (out / "bundle.json").write_text("an older bundle")
        before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
        command = [
            *("--qwen", checkpoints / "qwen", "--vjepa", checkpoints / "vjepa.pt"),
            *("--vjepa-pixels", 64, "--gaze", checkpoints / "gazeqwen.pt", "--out", out),
            *("--live-grid", "3x4", *more),
        ]
        assert main([str(part) for part in command]) == 1
        (line,) = [row for row in capsys.readouterr().err.splitlines() if row.startswith("error")]
        assert {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()} == before
        return line.removeprefix("error: ")

    return run


def edit_tokenizer(checkpoints, change):
    path = checkpoints / "qwen" / "tokenizer.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def edit_pickle(path, change):
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    return path


def edit_weight(checkpoints, ending, change):
    """Change the first tensor whose name ends so; its file and name."""
    for path in sorted((checkpoints / "qwen").glob("*.safetensors")):
        tensors = load_file(path)
        for name in tensors:
            if name.endswith(ending):
                change(tensors[name])
                save_file(tensors, path, {"format": "pt"})
                return path, name
    raise AssertionError(ending)


@pytest.mark.parametrize(
    "name",
    [
        "qwen/tokenizer.json",
        "qwen/config.json",
        "qwen/generation_config.json",
        "qwen/model.safetensors.index.json",
        "qwen/model-00002-of-00003.safetensors",
        "vjepa.pt",
        "gazeqwen.pt",
    ],
)
def test_a_pointer_of_git_lfs(checkpoints, refusal, name):
    (checkpoints / name).write_text(POINTER)
    assert refusal() == (
        f"{checkpoints / name}: only a pointer of git-lfs, not the file itself: fetch it with git "
        "lfs pull"
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["model"].update(type="Quantum"),
        lambda content: content.update(model=None),
        lambda content: content.pop("model"),
        lambda content: content["model"].update(vocab={"a": "b"}),
        lambda content: content["added_tokens"].append("<|gaze|>"),
    ],
)
def test_a_tokenizer_that_is_none(checkpoints, refusal, change):
    path = edit_tokenizer(checkpoints, change)
    assert refusal().startswith(f"{path}: not a tokenizer that can be read: ")


def test_a_tokenizer_that_is_gone_or_a_folder(checkpoints, refusal):
    path = checkpoints / "qwen" / "tokenizer.json"
    path.unlink()
    assert refusal() == f"{path.parent}: it has no tokenizer.json"
    path.mkdir()
    assert refusal() == f"{path.parent}: it has no tokenizer.json"


def test_an_added_token_without_a_row(checkpoints, refusal):
    token = {"id": 512, "content": "<|gaze|>", "special": True, "single_word": False}
    flags = {"lstrip": False, "rstrip": False, "normalized": False}

    def add(content):
        vocabulary = content["model"]["vocab"]
        taken = len(vocabulary) + len(content["added_tokens"])
        for number in range(taken, 512):
            content["added_tokens"].append(
                {**token, **flags, "id": number, "content": f"<{number}>"}
            )
        content["added_tokens"].append({**token, **flags})

    path = edit_tokenizer(checkpoints, add)
    assert refusal().startswith(
        f"{path}: its token '<|gaze|>' has the id 512, and the embeddings have 512 rows (0 to 511)"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    "ending",
    ["embed_tokens.weight", "5.mlp.up_proj.weight", "k_proj.bias", "visual.blocks.2.norm1.weight"],
)
def test_a_weight_that_is_no_number(checkpoints, refusal, ending, value):
    path, name = edit_weight(checkpoints, ending, lambda tensor: tensor.view(-1)[-3].fill_(value))
    line = refusal("--quant", "float32")
    assert line == (
        f"{path}: {name.removeprefix('model.')} has values that are not finite (NaN or infinity)"
    )


def set_first(group, name, value=float("nan")):
    return lambda content: content[group][name].view(-1)[0].fill_(value)


@pytest.mark.parametrize(
    ("file", "name", "change"),
    [
        (
            "vjepa.pt",
            "blocks.1.mlp.fc1.weight",
            set_first("ema_encoder", "module.backbone.blocks.1.mlp.fc1.weight"),
        ),
        ("gazeqwen.pt", "amplitude", set_first("state_dict", "amplitude")),
        ("gazeqwen.pt", "v_projs.2.0.bias", set_first("state_dict", "v_projs.2.0.bias")),
        (
            "gazeqwen.pt",
            "model.layers.3.self_attn.v_proj.lora_B",
            set_first("lora_state_dict", "model.layers.3.self_attn.v_proj.lora_B"),
        ),
        (
            "gazeqwen.pt",
            "latents.1",  # too large for float32
            lambda content: content["state_dict"].update(
                {"latents.1": torch.full((8, 32), 1e300, dtype=torch.float64)}
            ),
        ),
    ],
)
def test_a_trained_tensor_that_is_no_number(checkpoints, refusal, file, name, change):
    path = edit_pickle(checkpoints / file, change)
    assert refusal() == f"{path}: {name} has values that are not finite (NaN or infinity)"


def test_an_embedding_beyond_float16(checkpoints, refusal):
    path, _ = edit_weight(checkpoints, "embed_tokens.weight", lambda t: t[7, 3].fill_(-7e4))
    assert refusal() == (
        f"{path}: embed_tokens.weight holds -7e+04, more than float16 can (65504): export with "
        "--quant float32"
    )


def test_a_matrix_beyond_float16_once_its_lora_is_merged(checkpoints, refusal):
    name = "model.layers.2.self_attn.q_proj.lora_"

    def enlarge(content):
        content["lora_state_dict"][f"{name}A"].fill_(100)
        content["lora_state_dict"][f"{name}B"].fill_(100)

    edit_pickle(checkpoints / "gazeqwen.pt", enlarge)
    assert "layers.2.self_attn.q_proj.weight holds 1.6e+05" in refusal("--quant", "fp16")


def test_the_folder_of_the_checkpoint(checkpoints, refusal, tmp_path):
    qwen = checkpoints / "qwen"
    said = "--out is the Qwen2.5-VL folder itself: give another folder"
    assert refusal(out=qwen) == f"{qwen}: {said}"
    link = tmp_path / "link"
    link.symlink_to(qwen)
    assert refusal(out=link) == f"{link}: {said}"


def test_a_checkpoint_in_the_place_of_a_part(checkpoints, refusal):
    shutil.move(checkpoints / "vjepa.pt", checkpoints / "vision.onnx.data")
    path = checkpoints / "vision.onnx.data"
    line = refusal("--vjepa", path, out=checkpoints)
    assert line == f"{path}: the bundle would take its place: give another --out"


def test_a_second_export_into_the_folder(refusal, tmp_path):
    out = tmp_path / "out"
    with locked(out):
        assert refusal() == (
            f"{out}: another export is writing to this folder: wait for it, or give another --out"
        )
    assert "another export" not in refusal("--layers", "0,1,2,3")


def test_layers_that_it_was_not_trained_at(checkpoints, refusal):
    path = checkpoints / "gazeqwen.pt"
    assert refusal("--layers", "1,3,4,7") == (
        f"{path}: --layers 1,3,4,7: its amplitudes moved at layers 1, 3, 5, 7, so it was trained "
        "at layer 5 too"
    )


def leave_trained(*modules):
    """No amplitude moved, and only these modules were trained."""

    def edit(content):
        state = content["state_dict"]
        state["amplitude"].fill_(1)
        for module in {0, 1, 2, 3} - set(modules):
            state[f"proj_outs.{module}.weight"].zero_()

    return edit


def test_layers_that_can_not_be_told(checkpoints, refusal):
    path = edit_pickle(checkpoints / "gazeqwen.pt", leave_trained(0))
    line = refusal()
    assert line.startswith(f"{path}: it does not tell at which layers it was trained")
    assert line.endswith("two rules: give --layers 1,3,5,7 or --layers 6,13,20,27")


def test_a_resampler_that_only_reaches_the_last_layer(checkpoints, refusal):
    edit_pickle(checkpoints / "gazeqwen.pt", leave_trained(3))
    assert "only its module of the last layer (7) was trained" in refusal("--layers", "1,3,5,7")


def test_a_resampler_that_was_never_trained(checkpoints, refusal):
    edit_pickle(checkpoints / "gazeqwen.pt", leave_trained())
    assert "it was never trained, gaze would change nothing" in refusal()


def test_a_comparison_that_ends_in_no_number_is_not_signed(checkpoints, tmp_path):
    from export.builder import BundleBuilder
    from export.checkpoints.common import CheckpointError
    from export.checkpoints.sources import Checkpoints
    from export.graphs.precision.quantization import linears
    from runtime.bundle.manifest import ParityFigure, Settings

    files = checkpoints / "qwen", checkpoints / "vjepa.pt", checkpoints / "gazeqwen.pt"
    out = tmp_path / "out"
    builder = BundleBuilder(
        Checkpoints(*files, 64, "trained"), out, "out", Settings(3, 4), linears("int4")
    )
    for value in (float("nan"), float("inf")):
        figures = (ParityFigure("vjepa", "features", 0, 1), ParityFigure("gaze", "g", value, 1))
        with pytest.raises(CheckpointError, match=r"out: gaze, g: .* ended in NaN or infinity"):
            builder.sign(figures)


def test_a_geometry_that_nobody_could_open_is_found_before_anything_is_written(
    checkpoints, refusal
):
    path = checkpoints / "qwen" / "config.json"
    config = json.loads(path.read_text())
    config["vision_config"]["window_size"] = 113
    path.write_text(json.dumps(config))
    assert "vision window of 113 pixels holds no whole tokens" in refusal()

"""The layers a resampler was trained at, read off what training, as released, leaves behind."""

from copy import deepcopy
from functools import cache

import pytest
import torch

from export.checkpoints.common import CheckpointError
from export.checkpoints.gaze import load_gaze
from export.checkpoints.injection import InjectionError, Traces, find_layers, rules, traces
from export.modules.resampler import GazeResampler, ResamplerGeometry

SIZES = {"d_vjepa": 4, "d_llm": 4, "n_latents": 2, "d_latent": 4, "n_blocks": 1}


@cache
def trained(depth, layers, decay, start):
    """The checkpoint of an epoch: some steps in a decoder of `depth` layers that are sums.

    As released: projections start at zero, the hooks of layers that there are not are never set,
    the answer is read at a text token, which the last layer's residual does not reach.
    """
    torch.manual_seed(depth)
    resampler = GazeResampler(ResamplerGeometry(n_layers=depth, **SIZES, layers=layers))
    torch.nn.init.constant_(resampler.amplitude, start)
    for projection in resampler.proj_outs:
        torch.nn.init.zeros_(projection.weight)
    named = dict(resampler.named_parameters())
    vectors = [each for name, each in named.items() if each.ndim <= 1 and name != "amplitude"]
    matrices = [each for each in named.values() if each.ndim > 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": 0.01},
            {"params": vectors, "weight_decay": 0.0},
            {"params": [resampler.amplitude], "weight_decay": decay},
        ],
        lr=3e-4,
    )
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-4, total_steps=10)
    for _ in range(3):
        stream = torch.zeros(3, 4)
        for module, layer in enumerate(layers):
            if layer < depth - 1:
                stream = stream + resampler.residual(module, torch.randn(3, 4), torch.randn(4))
        loss = (stream - torch.randn(3, 4)).square().mean()
        (loss + 0 * resampler.amplitude.sum()).backward()
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
    return {
        "epoch": 1,
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "early_stopping": {"best": -float("inf"), "counter": 0},
        "val_acc": 61.5,
        "state_dict": resampler.state_dict(),
        "config": {**SIZES, "n_layers": depth, "version": "gazelens"},
        "lora_state_dict": {},
        "lora_config": {"rank": 8, "alpha": 16.0},
    }


def load(content, path, stated=None):
    torch.save(content, path)
    return load_gaze(path, stated)


@pytest.mark.parametrize(
    ("depth", "layers", "decay", "start"),
    [
        (28, (6, 13, 20, 27), 0.0, 1.0),
        (28, (6, 13, 20, 27), 0.01, 1.0),
        (36, (6, 13, 20, 27), 0.0, 1.0),
        (36, (8, 17, 26, 35), 0.0, 0.5),
        (30, (1, 2, 3, 29), 0.0, 1.0),
        (4, (0, 1, 2, 3), 0.0, 1.0),
        (4, (0, 1, 2, 3), 0.0, 0.5),
    ],
)
def test_an_epoch_tells_its_layers(tmp_path, depth, layers, decay, start):
    """Also from another start, and where weight decay moved what was not trained."""
    content = trained(depth, layers, decay, start)
    gaze = load(content, tmp_path / "checkpoint_epoch1.pt")
    geometry = gaze.resampler.geometry
    assert geometry.injected_layers == gaze.injection.layers == layers
    alone = depth == 4 and (start, decay) != (1.0, 0.0)  # one amplitude that did not move
    assert gaze.injection.known_by == ("assumed" if alone else "amplitudes")
    assert gaze.dead == ({3} if layers[-1] == depth - 1 else set())
    assert load(content, tmp_path / "again.pt", layers).injection.known_by == "stated"
    for name, tensor in content["state_dict"].items():
        assert torch.equal(gaze.resampler.state_dict()[name], tensor)


def test_the_released_layers_in_a_decoder_with_fewer(tmp_path):
    """No hook is set at 27 of 24: that module is never trained, and adds nothing anywhere."""
    content = trained(24, (6, 13, 20), 0.0, 1.0)
    for stated, known in ((None, "amplitudes"), ((6, 13, 20, 27), "stated")):
        gaze = load(content, tmp_path / "gaze.pt", stated)
        assert gaze.injection.layers == (6, 13, 20, 23)
        assert gaze.injection.known_by == known
        assert gaze.dead == {3}


def test_the_residual_is_scaled_by_the_amplitude_of_the_layer_that_was_trained(tmp_path):
    content = deepcopy(trained(36, (6, 13, 20, 27), 0.0, 1.0))
    content["state_dict"]["amplitude"][13] = 7.0
    resampler = load(content, tmp_path / "gaze.pt").resampler
    inputs = torch.randn(3, 4), torch.randn(4)
    seven = resampler.residual(1, *inputs)
    resampler.amplitude[13] = 1.0
    torch.testing.assert_close(seven, 7 * resampler.residual(1, *inputs))


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ((5, 11, 17, 23), "moved at layers 6, 13, 20, 27, so it was trained at layer 6 too"),
        ((6, 13, 20, 26), "so it was trained at layer 27 too"),
        ((6, 13, 20), "it has 4 modules, name a layer for each"),
        ((6, 13, 20, 27, 30), "it has 4 modules"),
        ((6, 13, 20, 40), "layer 40 was trained, and the decoder has 36 layers (0 to 35)"),
    ],
)
def test_a_statement_that_the_amplitudes_contradict(tmp_path, stated, said):
    content = trained(36, (6, 13, 20, 27), 0.0, 1.0)
    with pytest.raises(CheckpointError, match=r"gaze\.pt: --layers ") as refusal:
        load(content, tmp_path / "gaze.pt", stated)
    assert said in str(refusal.value) and "\n" not in str(refusal.value)


ALL = (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("found", "stated", "said"),
    [
        (Traces(36, 4, (6, 13), ALL), None, "layers 6, 13, but 4 of its 4 modules were trained"),
        (Traces(36, 4, (1, 2, 3, 4, 5), ALL), None, "more layers than it has modules (4)"),
        (Traces(36, 4, (6, 13, 20), ALL), (6, 13, 20, 27), "the amplitude of layer 27 never moved"),
        (Traces(28, 4, (6, 13), (0, 1, 2)), None, "but 3 of its 4 modules were trained"),
        (Traces(28, 4, (6, 13, 20), ()), None, "all zero: it was never trained"),
    ],
)
def test_traces_that_contradict_each_other(found, stated, said):
    with pytest.raises(InjectionError) as refusal:
        find_layers(found, stated)
    assert said in str(refusal.value)


@pytest.mark.parametrize("moved", [None, ()])
def test_what_does_not_tell_is_assumed_or_stated(moved):
    found = Traces(36, 4, moved, ALL)
    assumed, stated = find_layers(found), find_layers(found, (6, 13, 20, 27))
    assert (assumed.layers, assumed.known_by) == ((8, 17, 26, 35), "assumed")
    assert (stated.layers, stated.known_by) == ((6, 13, 20, 27), "stated")


def test_projections_that_did_not_start_at_zero_leave_the_last_layer():
    found = Traces(28, 4, (6, 13, 20), ALL)
    assert find_layers(found).layers == (6, 13, 20, 27)
    assert find_layers(found, (6, 13, 20, 27)).known_by == "stated"


def test_amplitudes_that_all_differ_tell_nothing():
    zero, one = torch.zeros(2, 2), torch.ones(2, 2)
    assert traces(torch.tensor([0.9, 1.1, 0.8]), [one, zero]) == Traces(3, 2, None, (0,))
    assert traces(torch.tensor([0.9, 0.7, 0.9]), [zero, one]) == Traces(3, 2, (1,), (1,))
    assert traces(torch.tensor([0.9, 1.0, 0.8]), [one, one]) == Traces(3, 2, (0, 2), (0, 1))


def test_the_rules_agree_at_the_depth_of_the_released_model():
    assert rules(28, 4) == ((6, 13, 20, 27),)
    assert rules(36, 4) == ((8, 17, 26, 35), (6, 13, 20, 27))
    assert rules(4, 4) == ((0, 1, 2, 3),)

"""Peers in processes of their own: what they answer, and how they may break."""

import io
import json
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'export'")

from benchmarks.decoder.decode import main
from benchmarks.decoder.peers.__main__ import main as peer_main
from benchmarks.decoder.peers.__main__ import serve
from benchmarks.decoder.peers.catalog import FAMILIES, PEERS, peers_of
from benchmarks.decoder.peers.process import PeerProcess, start_peer, stored_workload
from benchmarks.instruments.decoders.fidelity import Fidelity, reference_logits
from benchmarks.instruments.decoders.rounds import DecoderLost, measure
from benchmarks.instruments.decoders.workload import DrawnWeights, Workload, prefill
from export.random.shapes import SHAPES

TINY = SHAPES["tiny"].decoder
MOST_OFF = {4: 0.5, 8: 0.1}  # of the logits, by bits
TALKS = """
import sys, numpy as np
print("a line of its own", flush=True)
print("answer: 1234", flush=True)
for line in sys.stdin:
    word = line.split()[0]
    if word == sys.argv[2]:
        {fault}
    if word == "follow":
        np.save(sys.argv[1] + "/logits.npy", np.ones((2, 3), np.float32))
    print("noise", file=sys.stderr)
    print("answer: 0.25" if word != "append" else "answer: " + line.split()[1], flush=True)
"""


@pytest.fixture
def workload():
    return Workload.drawn(TINY, tokens=24, step=8)


def talker(folder, fault="pass", at="never"):
    command = [sys.executable, "-c", TALKS.format(fault=fault), str(folder), at]
    return PeerProcess("talker", command, folder)


def test_a_peer_does_what_it_is_told_and_its_own_times_count(tmp_path, workload):
    with talker(tmp_path) as peer:
        assert peer.stored == 1234
        found = measure([peer], workload, [24], 1, 2)
    assert found.times["talker"][24].prefill == [0 + 1 + 2]
    assert found.times["talker"][24].decode == [0.25]
    np.testing.assert_array_equal(found.logits["talker"], np.ones((2, 3)))


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "ended by SIGILL"),
        ("sys.exit('no such instruction')", "exit status 1: no such instruction"),
        ("print('error: out of room', flush=True)", "out of room"),
    ],
)
def test_what_breaks_a_peer_is_the_end_of_its_row_and_of_nothing_else(
    tmp_path, workload, fault, why
):
    with talker(tmp_path, fault, at="decode") as broken, talker(tmp_path) as whole:
        broken.name = "broken"
        found = measure([broken, whole], workload, [24], 1, 1)
    assert set(found.times) == {"talker"}
    assert found.lost["broken"].startswith(why[:14]) and found.lost["broken"].endswith(why[-14:])


def test_a_peer_that_can_t_be_started_says_why(tmp_path):
    with pytest.raises(DecoderLost, match=r"^exit status 3: $"):
        PeerProcess("none", [sys.executable, "-c", "raise SystemExit(3)"], tmp_path)


class Noting:
    """A decoder that notes what it is asked for."""

    name, stored = "noting", 7

    def __init__(self):
        self.notes = []

    def clear(self):
        self.notes.append("clear")

    def append(self, step):
        self.notes.append(step)
        return 0.5

    def decode(self):
        return 0.25

    def follow(self):
        return np.zeros((1, 2), np.float32)


def test_a_peer_answers_every_line(tmp_path):
    decoder, answers = Noting(), io.StringIO()
    serve(decoder, tmp_path, ["clear\n", "append 2\n", "decode\n", "follow\n"], answers)
    told = [json.loads(line.removeprefix("answer: ")) for line in answers.getvalue().splitlines()]
    assert told == [7, 0, 0.5, 0.25, 0]
    assert decoder.notes == ["clear", 2]
    assert np.load(tmp_path / "logits.npy").shape == (1, 2)


def test_a_peer_that_is_not_installed_is_one_line(tmp_path, monkeypatch, capsys, workload):
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(DecoderLost):
        start_peer(PEERS[0], "none such", workload, tmp_path, 1)
    kept = stored_workload(tmp_path)
    np.testing.assert_array_equal(kept.embedded(kept.context), workload.embedded(workload.context))
    assert peer_main([PEERS[0].name, "tiny", str(tmp_path), "1"]) == 1
    told = capsys.readouterr().out
    assert told.endswith("is not installed: install the extra 'peers'\n") and told.count("\n") == 1


def test_families_are_those_that_the_command_takes(tmp_path, capsys):
    assert FAMILIES == ("llama.cpp", "OpenVINO", "onnxruntime-genai")
    assert [peer.variant for peer in peers_of(["llama.cpp"])] == ["Q4_0", "Q4_K_M", "Q8_0"]
    with pytest.raises(SystemExit):
        main(["--peers", "tensorflow"])
    assert "--peers" in capsys.readouterr().err


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_computes_what_pytorch_does(peer, tmp_path, workload):
    """As near as its bits allow, behind a whole context and behind one that was rewound."""
    pytest.importorskip(peer.package, reason="needs the extra 'peers'")
    reference = reference_logits(TINY, workload)
    with start_peer(peer, "tiny", workload, tmp_path, 1) as started:
        for _ in range(2):
            assert prefill(started, workload) > 0 and started.decode() > 0
            assert Fidelity.of(started.follow(), reference).error < MOST_OFF[peer.bits]


@pytest.mark.parametrize("tied", [True, False])
def test_a_gguf_holds_the_drawn_weights_as_they_are(tmp_path, tied):
    gguf = pytest.importorskip("gguf", reason="needs the extra 'peers'")
    from benchmarks.decoder.peers.gguf_file import gguf_name, multiplied_bytes, write_gguf

    geometry, path = replace(TINY, tied=tied), tmp_path / "weights.gguf"
    write_gguf(path, geometry)
    stored = {each.name: each for each in gguf.GGUFReader(path).tensors}
    weights = DrawnWeights(geometry)
    assert set(stored) == {gguf_name(name) for name in geometry.shapes()}
    for name, shape in geometry.shapes().items():
        drawn, data = weights.tensor(name), np.ascontiguousarray(stored[gguf_name(name)].data)
        if len(shape) > 1:
            data = (data.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        np.testing.assert_array_equal(data.reshape(shape), drawn.float().numpy())
    once = 2 * geometry.vocabulary * geometry.width
    whole = sum(each.n_bytes for each in stored.values())
    assert multiplied_bytes(path) == (whole if tied else whole - once)

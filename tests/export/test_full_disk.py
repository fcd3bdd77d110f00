"""Files that can't grow any further, whichever it is: one OSError that names it, nothing half kept.

A limit on the size of files stands in for the full disk; a small file system shows that no writer
goes through a mapping, which would end the process with a bus error.
"""

import re
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager
from math import prod
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import safe_open

from export import files
from export.__main__ import main
from export.checkpoints.gaze import load_gaze
from export.graphs.decoder import write_embeddings
from export.graphs.graph_writer import GraphWriter
from export.graphs.traced import export_gaze_half
from export.lock import LOCK_FILE
from export.random.weights import write_random

ROOT = Path(__file__).parents[2]


class Weights:
    def tensor(self, name, dtype=None):
        return torch.ones(512, 256)


@contextmanager
def files_of_at_most(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def write_table(folder):
    write_embeddings(Weights(), folder / "embeddings.npy", "float32")


def write_weight(folder):
    with GraphWriter(folder, "g") as graph:
        graph.weight("w", np.ones((512, 256), np.float32))
        graph.save([], [])


def write_stage(folder):
    with GraphWriter(folder, "g", "origin") as graph:
        graph.constant("c", np.ones((512, 256), np.float32))
        graph.keep(1)


def write_graph(folder):
    with GraphWriter(folder, "g") as graph:
        graph.constant("c", np.ones((512, 256), np.float32))
        graph.save([], [])


@pytest.mark.parametrize(
    ("write", "name", "left"),
    [
        (write_table, "embeddings.npy", set()),
        (write_weight, "g.onnx.data", {"g.onnx.data"}),
        (write_stage, "g.onnx.kept", {"g.onnx.data"}),
        (write_graph, "g.onnx", {"g.onnx.data"}),
    ],
)
def test_the_file_that_can_not_grow_is_named(tmp_path, write, name, left):
    with files_of_at_most(200_000), pytest.raises(OSError) as full:
        write(tmp_path)
    assert full.value.filename == str(tmp_path / name)
    assert full.value.strerror == "File too large"
    assert {path.name for path in tmp_path.iterdir()} == left
    write(tmp_path)


def test_a_traced_graph_that_can_not_grow_is_named(tiny_folder, tmp_path):
    gaze = load_gaze(tiny_folder.with_name("tiny-checkpoints") / "gazeqwen.pt")
    with files_of_at_most(200_000), pytest.raises(OSError) as full:
        export_gaze_half(gaze.resampler, (1, 3, 5), tmp_path)
    assert full.value.filename == str(tmp_path / "resampler.gaze.onnx.data")


@pytest.mark.parametrize(
    ("size", "name"),
    [
        (10_000, "qwen/tokenizer.json"),
        (860_000, "qwen/model-00001-of-00003.safetensors"),
        (900_000, "qwen/model-00002-of-00003.safetensors"),
    ],
)
def test_random_checkpoints_that_can_not_grow_are_named(tmp_path, size, name):
    with files_of_at_most(size), pytest.raises(OSError) as full:
        write_random("tiny", 1, tmp_path)
    assert full.value.filename == str(tmp_path / name)
    assert full.value.strerror == "File too large"


def test_a_pickle_that_can_not_grow_is_named(tmp_path, monkeypatch):
    """Its own writer would end in an error that names nothing."""
    monkeypatch.setattr("export.random.weights._Writer._write_qwen", lambda self: None)
    with files_of_at_most(300_000), pytest.raises(OSError) as full:
        write_random("tiny", 1, tmp_path)
    assert full.value.filename == str(tmp_path / "vjepa.pt")


def test_the_command_says_it_in_one_line_and_leaves_nothing(tmp_path, capsys):
    out = tmp_path / "out"
    with files_of_at_most(10_000):
        assert main(["--random", "tiny", "--out", str(out)]) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    named = tmp_path / "out-checkpoints" / "qwen" / "tokenizer.json"
    assert errors == [f"error: {named}: File too large"]
    assert not out.exists()


def first_layers(qwen):
    """Bytes of the two layers, the norm and the head's rows that are written to be compared."""
    count = 0
    for shard in qwen.glob("*.safetensors"):
        with safe_open(shard, "pt") as stored:
            for name in stored.keys():  # noqa: SIM118 - no mapping
                shape = stored.get_slice(name).get_shape()
                if name == "lm_head.weight":
                    count += min(shape[0], 1024) * shape[1]
                elif re.match(r"model\.(language_model\.)?(layers\.[01]|norm)\.", name):
                    count += prod(shape)
    return 4 * count


def test_too_small_a_disk_is_found_before_anything_is_written(
    tiny_folder, tmp_path, capsys, monkeypatch
):
    """The checkpoints lie elsewhere; the command finds the room that there is for the bundle."""
    shutil.copytree(tiny_folder.with_name("tiny-checkpoints"), tmp_path / "tiny-checkpoints")
    out = tmp_path / "tiny"
    command = ["--random", "tiny", "--seed", "3", "--quant", "float32", "--out", str(out)]
    bundle = sum(path.stat().st_size for path in tiny_folder.iterdir())
    free = bundle + first_layers(tmp_path / "tiny-checkpoints" / "qwen") - 10_000
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert main(command) == 1
    (line,) = [row for row in capsys.readouterr().err.splitlines() if row.startswith("error")]
    assert line.startswith(f"error: {out}: ")
    assert f" kB are needed and {free / 1e3:,.0f} kB are free: make room" in line
    assert not out.exists()


def test_an_error_that_names_a_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as missing, files.named(tmp_path / "other"):
        (tmp_path / "read").read_bytes()
    assert missing.value.filename == str(tmp_path / "read")


ON_A_SMALL_DISK = """
import numpy as np, sys
from pathlib import Path
import test_full_disk
for write in (test_full_disk.write_table, test_full_disk.write_weight):
    try:
        write(Path(sys.argv[1]))
    except OSError as error:
        print(f"{Path(error.filename).name}: {error.strerror}")
"""


def test_a_file_system_that_is_full_ends_no_process(tmp_path):
    mount = f"mount -t tmpfs -o size=256k none {tmp_path}"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    program = f'{mount} && exec {sys.executable} -c "$0" {tmp_path}'
    ran = subprocess.run(
        ["unshare", "-rm", "sh", "-c", program, ON_A_SMALL_DISK],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{ROOT}:{Path(__file__).parent}", "PATH": "/usr/bin:/bin:/usr/sbin"},
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.splitlines() == [
        "embeddings.npy: No space left on device",
        "g.onnx.data: No space left on device",
    ]


def test_the_lock_of_a_refused_export_is_gone(tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    missing = str(tmp_path / "none")
    assert main(["--qwen", missing, "--vjepa", missing, "--gaze", missing, "--out", str(out)]) == 1
    assert not (out / LOCK_FILE).exists() and out.exists()

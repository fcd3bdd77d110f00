"""The walls of the house: who imports whom, what a room is, and how large a file may be."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOUSES = ("benchmarks", "devices", "export", "runtime")
MOST_LINES, MOST_FILES = 300, 14
CODE = [path for house in (*HOUSES, "tests") for path in sorted((ROOT / house).rglob("*.py"))]


def linted(folder):
    """What import-linter says of the house in a folder."""
    # The folder's own modules, wherever this project is installed.
    command = (
        "import sys; sys.path.insert(0, ''); from importlinter.cli import lint_imports_command"
    )
    return subprocess.run(
        [sys.executable, "-c", f"{command}; lint_imports_command(['--no-cache'])"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path):
    """The house without its furniture, to build wrongly in."""
    for house in HOUSES:
        shutil.copytree(
            ROOT / house,
            tmp_path / house,
            ignore=shutil.ignore_patterns("mini/*.*n*", "__pycache__"),
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_import_keeps_to_the_order_of_rooms():
    ended = linted(ROOT)
    assert ended.returncode == 0, ended.stdout
    assert "0 broken" in ended.stdout


@pytest.mark.parametrize(
    ("where", "line", "said"),
    [
        (
            "runtime/inputs/positions.py",
            "from runtime.run.live_loop import LiveLoop",
            "runtime.inputs is not allowed to import runtime.run",
        ),
        (
            "devices/neon/wire.py",
            "import runtime.errors",
            "devices is not allowed to import runtime",
        ),
        (
            "export/modules/vjepa.py",
            "from export.parity import graphs",
            "export.modules is not allowed to import export.parity",
        ),
        (
            "devices/neon/wire.py",
            "from devices.core import messages",
            "devices.neon is not allowed to import devices.core",
        ),
        (
            "runtime/model/models.py",
            "import torch",
            "runtime is not allowed to import torch",
        ),
    ],
)
def test_a_wrong_import_is_caught_by_the_names_of_both_rooms(copy, where, line, said):
    path = copy / where
    path.write_text(path.read_text() + f"\n{line}\n")
    ended = linted(copy)
    assert ended.returncode == 1
    assert said in ended.stdout


def test_a_room_that_stands_in_no_list_is_caught(copy):
    (copy / "runtime" / "attic").mkdir()
    (copy / "runtime" / "attic" / "__init__.py").write_text('"""Nobody knows."""\n')
    ended = linted(copy)
    assert ended.returncode == 1
    assert "attic" in ended.stdout


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_can_be_read_in_one_go(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_a_folder_can_be_taken_in_at_a_glance():
    folders = {path.parent for path in CODE}
    crowded = {folder for folder in folders if len(list(folder.glob("*.py"))) > MOST_FILES}
    assert not crowded


@pytest.mark.parametrize(
    "path",
    [path for path in CODE if path.name == "__init__.py"],
    ids=lambda path: str(path.parent.relative_to(ROOT)),
)
def test_a_room_says_in_one_line_what_it_is_and_hands_out_nothing(path):
    module = ast.parse(path.read_text(encoding="utf-8"))
    (statement,) = module.body
    said = ast.get_docstring(module)
    assert isinstance(statement, ast.Expr)
    assert said
    assert "\n" not in said

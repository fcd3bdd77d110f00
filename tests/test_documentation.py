"""What the documents show works: commands, options, links and names.

A command in a block is run, in the order of its page, each page in a folder of its own: shortened
by SHORT, with real things in place of the words in `places`. One that stands below
`<!-- not run: reason -->` or within a line of text is parsed by its own program. All others are
complained of, so that none can be forgotten.
"""

import importlib
import importlib.util
import io
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
from drawn_recording import draw_cloud, draw_streamgaze

from benchmarks.streamgaze.command import check_options
from benchmarks.streamgaze.data.dataset import DataSetError
from devices.parser import Parser

ROOT = Path(__file__).parents[1]
TOP = ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")
SHOWN = (*map(ROOT.joinpath, TOP), *sorted(ROOT.glob("docs/*.md")))
PAGES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in SHOWN}
MOST_README_LINES = 130
HOUSES = ("benchmarks", "devices", "export", "runtime")
SUBCOMMANDS = ("compare", "report", "sharing", "memory", "merge")

FENCE = re.compile(r"^```(\w*)$")
REASON = re.compile(r"^<!-- not run: \S.* -->$")
INLINE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
PATH = re.compile(rf"(?:{'|'.join(HOUSES)}|docs|tests|\.ci)/[a-z\d_./-]+")
MODULE = re.compile(rf"(?:{'|'.join(HOUSES)})(?:\.\w+)+")

# What a command is given in addition, so that it takes a second.
SHORT = {
    "runtime.live": "--fast --seconds 4",
    "devices.emulator": "--port 0 --seconds 0.5",
    "devices.synthetic": "--videos 1 --seconds 10 --questions 2 --frame-rate 2",
    "benchmarks memory": "--tokens 256",
    "benchmarks proof": "--rounds 1",
    "benchmarks stages": "--rounds 1",
    "benchmarks soak": "--seconds 20 --overloaded-seconds 5 --live-seconds 5",
    "benchmarks.streamgaze": "--limit 1 --tasks OI-E OAR",
    "benchmarks.streamgaze sharing": "--limit 1 --tasks OI-E OAR",
}
# Commands within a line of text that no program of ours can parse, and why.
NOT_PARSED = {"python -m pytest -m gpu": "pytest reads it"}


@dataclass(frozen=True)
class Shown:
    """A command as a page shows it. `runs`: in a block. `marked`: it says why it does not."""

    where: str
    words: tuple[str, ...]
    runs: bool
    marked: bool

    @property
    def is_ours(self):
        return self.words[:2] == ("python", "-m") and self.words[2].split(".")[0] in HOUSES

    @property
    def program(self):
        """The module, and the subcommand where it has those."""
        name, *arguments = self.words[2:]
        named = name == "benchmarks.streamgaze" and arguments and arguments[0] in SUBCOMMANDS
        return f"{name} {arguments[0]}" if named or (name == "benchmarks" and arguments) else name

    def __str__(self):
        return f"{self.where}: {shlex.join(self.words)}"


def commands_of(name, text):
    """Everything that a page shows to be typed, in order."""
    block, marked, language = [], False, None
    for number, line in enumerate(text.splitlines(), start=1):
        fence = FENCE.match(line)
        if fence and language is None:
            language, block = fence[1], []
        elif fence:
            if language in ("", "bash", "sh"):
                yield from _in_block(f"{name}, line {number - len(block)}", block, marked)
            language, marked = None, False
        elif language is not None:
            block.append(line)
        else:
            marked = bool(REASON.match(line)) or (marked and line.startswith("<!--"))
    for code in inline_code(text):
        words = tuple(shlex.split(code)) if code.startswith("python -m ") else ()
        if len(words) > 3:
            yield Shown(f"{name}, within the text", words, False, code in NOT_PARSED)


def _in_block(where, lines, marked):
    joined = "\n".join(lines).replace("\\\n", " ")
    for line in joined.splitlines():
        for part in line.split("&&"):
            if words := tuple(shlex.split(part, comments=True)):
                yield Shown(where, words, not marked, marked)


def inline_code(text):
    """The code within lines of text, each piece in one line."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(code.split()) for code in INLINE.findall(prose)]


def wrong_arguments(shown, places):
    """What a command's own program, or this page, has against it; None for nothing."""
    if not shown.is_ours:
        return None if shown.marked else "it is neither run nor marked as not run"
    try:
        with redirect_stderr(io.StringIO()) as errors:
            parse(real(shown, places))
    except SystemExit:
        return errors.getvalue().strip()
    except (DataSetError, ImportError) as error:
        return str(error)
    return None


def wrong_ending(shown, folder, places):
    """What came of running a command in `folder`; None for one that ended well or is not run."""
    if not (shown.is_ours and shown.runs):
        return None
    ended = subprocess.run(
        [sys.executable, "-m", *real(shown, places), *SHORT.get(shown.program, "").split()],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    return None if ended.returncode == 0 else f"exit status {ended.returncode}: {ended.stdout}"


def real(shown, places):
    """The words behind `python -m`, with what there is here in place of what they stand for."""
    return [places.get(word, word) for word in shown.words[2:]]


class Parsed(BaseException):
    """Raised where a program comes to parse its arguments, so that it does nothing else."""


def parser_of(words):
    """The parser that `python -m` with these words uses, and the arguments that it is given."""

    def stop(parser, arguments=None):
        raise Parsed(parser, sys.argv[1:] if arguments is None else arguments)

    stopped = mock.patch.object(Parser, "parse_args", stop)
    with stopped, mock.patch.object(sys, "argv", list(words)), pytest.raises(Parsed) as parsed:
        module_of(words[0]).main()
    return parsed.value.args


def parse(words):
    """Let a program read its arguments, with whatever it checks besides its parser."""
    parser, arguments = parser_of(words)
    module = module_of(words[0])
    read = getattr(module, "parse_arguments", None) or getattr(module, "arguments", None)
    options = read(arguments) if read else parser.parse_args(arguments)
    if parser.prog == "python -m benchmarks.streamgaze":
        check_options(options)


def module_of(name):
    is_package = (ROOT / name.replace(".", "/")).is_dir()
    return importlib.import_module(f"{name}.__main__" if is_package else name)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """What stands for the words in capitals, and for paths within this repository."""
    folder = tmp_path_factory.mktemp("places")
    video = draw_streamgaze(folder / "video", [(0.5, 0.5, 0.1, 1.5)])
    published = folder / "published.csv"
    published.write_text("model,NFI,OTP,overall\nHuman,0.9,0.8,0.85\n")
    mini = str(ROOT / "runtime" / "mini")
    return {
        "BUNDLE": mini,
        "runtime/mini": mini,
        "REC": str(draw_cloud(folder / "cloud", frames=60, gaze=400).path),
        "VIDEO": str(video),
        "CSV": str(video.with_name(f"{video.stem}_fixation_filtered.csv")),
        "STREAMGAZE": "drawn",  # which the page draws before
        "FIXATIONS": "drawn/fixations",
        "TABLE": str(published),
    }


@pytest.fixture(scope="module")
def endings(places, tmp_path_factory):
    """What is wrong with how each page's commands end; two pages are at work at a time."""

    def run(name, folder):
        return {str(s): wrong_ending(s, folder, places) for s in commands_of(name, PAGES[name])}

    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(run, name, tmp_path_factory.mktemp("page")) for name in PAGES}


@pytest.mark.parametrize("name", PAGES)
def test_every_command_is_one_that_its_program_takes(name, places):
    told = {str(each): wrong_arguments(each, places) for each in commands_of(name, PAGES[name])}
    assert not {line: wrong for line, wrong in told.items() if wrong}


@pytest.mark.long
@pytest.mark.parametrize("name", PAGES)
def test_every_command_works_as_it_is_shown(name, endings):
    assert not {line: wrong for line, wrong in endings[name].result().items() if wrong}


@pytest.mark.parametrize(
    ("planted", "wrong"),
    [
        ("```\npython -m runtime.live --windows 30\n```", "unrecognized arguments: --windows"),
        ("See `python -m export.mini --oat out`.", "required: --out"),
        ("```bash\npython -m benchmarks.streamgaze --data DIR\n```", "give --bundle and --out"),
        ("```sh\npython -m runtime.check nowhere\n```", "exit status 1"),
        ("```\npython -m runtime.lives --fast\n```", "No module named"),
        ("```\npip install gazeqwen-edge\n```", "neither run nor marked"),
        (
            "<!-- not run: no eyes -->\n```\ncd x && python -m runtime.live \\\n  --glasses\n```",
            "unrecognized arguments: --glasses",
        ),
        ("<!-- not run: no eyes -->\nText.\n```\npip list\n```", "neither run nor marked"),
    ],
)
def test_a_command_that_does_not_work_is_caught(planted, wrong, places, tmp_path):
    shown = list(commands_of("planted", planted))
    told = [wrong_arguments(each, places) or wrong_ending(each, tmp_path, places) for each in shown]
    assert wrong in "".join(filter(None, told))


def test_what_is_marked_is_not_run_and_what_is_no_command_is_left_alone():
    text = "<!-- not run: it installs -->\n<!-- demo -->\n```\npip list\n```\n```text\npip\n```\n"
    shown = list(commands_of("planted", text + "`python -m pip`, `--fast`"))
    assert shown == [Shown("planted, line 4", ("pip", "list"), runs=False, marked=True)]


def test_every_option_that_is_named_exists():
    shown = [each for name, text in PAGES.items() for each in commands_of(name, text)]
    programs = {each.program for each in shown if each.is_ours}
    parsers = [parser_of(program.split())[0] for program in programs]
    known = {option for parser in parsers for option in parser._option_string_actions}
    words = [word for text in PAGES.values() for code in inline_code(text) for word in code.split()]
    named = {match[0] for word in words if (match := re.match(r"--\w[\w-]*", word))}
    assert named - known == set()


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name):
    for target in LINK.findall(PAGES[name]):
        path, _, heading = target.partition("#")
        if "://" not in target:
            page = (ROOT / name).parent / path if path else ROOT / name
            assert page.exists(), target
            assert not heading or heading in anchors(page.read_text(encoding="utf-8")), target


def anchors(text):
    """The names that GitHub gives to the headings of a page."""
    headings = [heading.lower().replace(" ", "-") for heading in HEADING.findall(text)]
    return {re.sub(r"[^\w-]", "", heading) for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_every_file_and_module_that_is_named_exists(name):
    for code in inline_code(PAGES[name]):
        assert not PATH.fullmatch(code) or (ROOT / code).exists(), code
        assert not MODULE.fullmatch(code) or importlib.util.find_spec(code), code


def test_the_readme_can_be_read_in_two_minutes():
    assert len(PAGES["README.md"].splitlines()) <= MOST_README_LINES


def test_the_two_commands_stand_right_behind_their_marks():
    test = "python -m pytest -m 'realtime and not long'"
    for mark, wanted in (("demo", "python -m runtime.live"), ("test", test)):
        block = re.search(rf"<!-- {mark} command -->\n```\n(.*)\n```\n", PAGES["README.md"])
        assert block[1].endswith(wanted)

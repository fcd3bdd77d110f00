"""Numbers and texts that no run can mean are refused before anything starts."""

from __future__ import annotations

import pytest

import benchmarks.device_latency
import benchmarks.memory
import benchmarks.mini.__main__
import benchmarks.mini.rounding
import benchmarks.proof
import benchmarks.soak
import benchmarks.stream
import benchmarks.streamgaze.__main__
import devices.emulator.__main__
import devices.synthetic.__main__
import export.__main__
import export.mini.__main__
from runtime.run.command_line import parse_arguments

EXPORT = ["--random", "tiny", "--out", "never-made"]
STREAMGAZE = ["--data", "never-read"]
REFUSED = [
    (parse_arguments, ["--ask", "?", "--at", "nan"]),
    (parse_arguments, ["--ask", "?", "--at", "-1"]),
    (parse_arguments, ["--ask", "?", "--at", "1e300"]),
    (parse_arguments, ["--seed", "-1"]),
    (parse_arguments, ["--seed", "one"]),
    (parse_arguments, ["--window", "0"]),
    (parse_arguments, ["--window", "1e300"]),
    (parse_arguments, ["--fps", "0"]),
    (parse_arguments, ["--fps", "inf"]),
    (parse_arguments, ["--seconds", "nan"]),
    (parse_arguments, ["--seconds", "1e300"]),
    (parse_arguments, ["--session-limit", "nan"]),
    (parse_arguments, ["--alert", " "]),
    (parse_arguments, ["--alert-threshold", "2"]),
    (parse_arguments, ["--alert-release", "nan"]),
    (parse_arguments, ["--alert-interval", "-1"]),
    (export.__main__.parse_arguments, [*EXPORT, "--window", "nan"]),
    (export.__main__.parse_arguments, [*EXPORT, "--min-open", "-1"]),
    (export.__main__.parse_arguments, [*EXPORT, "--max-new-tokens", "0"]),
    (export.__main__.parse_arguments, [*EXPORT, "--parity-memory", "nan"]),
    (export.mini.__main__.parse_arguments, ["--out", "never-made", "--seed", str(2**64)]),
    (devices.emulator.__main__.arguments, ["--port", "65536"]),
    (devices.emulator.__main__.arguments, ["--port", "-1"]),
    (devices.emulator.__main__.arguments, ["--seed", "-1"]),
    (devices.emulator.__main__.arguments, ["--seconds", "nan"]),
    (devices.synthetic.__main__.main, ["--out", "never-made", "--videos", "0"]),
    (devices.synthetic.__main__.main, ["--out", "never-made", "--seconds", "4"]),
    (benchmarks.device_latency.arguments, ["--seconds", "-3"]),
    (benchmarks.device_latency.arguments, ["--poll-ms", "nan"]),
    (benchmarks.memory.main, ["--threads", "-1"]),
    (benchmarks.mini.__main__.parse_arguments, ["--questions", "0"]),
    (benchmarks.mini.rounding.parse_arguments, ["never-read", "--clips", "0"]),
    (benchmarks.proof.main, ["--rounds", "0"]),
    (benchmarks.soak.arguments, ["--seconds", "nan"]),
    (benchmarks.stream.arguments, ["--bundle", "never-read", "--rounds", "0"]),
    (benchmarks.streamgaze.__main__.main, [*STREAMGAZE, "--check", "--ask-after", "nan"]),
    (benchmarks.streamgaze.__main__.main, [*STREAMGAZE, "--check", "--limit", "0"]),
]


@pytest.mark.parametrize(
    ("read", "line"), REFUSED, ids=[f"{each.__module__} {' '.join(line)}" for each, line in REFUSED]
)
def test_a_number_out_of_range_is_one_clear_line(read, line, capsys):
    with pytest.raises(SystemExit) as ended:
        read(line)
    assert ended.value.code == 2
    option, value = line[-2:]
    printed = capsys.readouterr().err
    assert printed.startswith(f"error: argument {option}: ") and printed.count("\n") == 1
    assert value.strip() in printed and "--help" in printed
    assert "give" in printed or "is not a" in printed or "say what" in printed


def test_what_lies_in_range_is_taken():
    asked = "--ask ? --at 0 --alert x --alert-threshold 1 --alert-interval 0 --seed 7"
    watched = "--window 3600 --fps 0.5 --seconds inf"
    options = parse_arguments(f"{asked} {watched}".split())
    assert options.ask[0].at == 0
    assert (options.window, options.fps, options.seconds) == (3600, 0.5, None)
    assert (options.alert, options.alert_threshold, options.alert_interval) == (["x"], 1, 0)
    assert options.seed == 7


def test_a_file_in_the_place_of_the_bundle_is_refused(tmp_path, capsys):
    (tmp_path / "bundle").write_text("mine")
    with pytest.raises(SystemExit):
        export.__main__.parse_arguments(["--random", "tiny", "--out", str(tmp_path / "bundle")])
    assert "is a file: give a folder" in capsys.readouterr().err
    assert (tmp_path / "bundle").read_text() == "mine"


def test_a_field_of_view_is_two_angles(capsys):
    assert parse_arguments(["--field", "99x53.5"]).field == (99.0, 53.5)
    for text in ("99", "axb", "0x5", "200x50", "99x"):
        with pytest.raises(SystemExit) as caught:
            parse_arguments(["--field", text])
        assert caught.value.code == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "line", ["--fast --tls auto", "--no-serve --tls auto", "--ask ? --tls a b"]
)
def test_tls_without_a_server_is_one_clear_line(line, capsys):
    with pytest.raises(SystemExit) as caught:
        parse_arguments(line.split())
    assert caught.value.code == 2
    assert "--tls belongs to --serve" in capsys.readouterr().err

"""The table of stages is computed from the records of a run, question by question."""

import json

from benchmarks.voice import STAGES, main, read_stages

MS = 1_000_000
AT = 1_700_000_000_000_000_000


def question(ended_at, understood, first_token, first_sound):
    heard = {"kind": "heard", "taken_as": "question", "ended_at": ended_at}
    return [
        heard | {"understood_at": ended_at + understood * MS},
        {
            "kind": "answer",
            "asked_at": ended_at,
            "ttft_ms": first_token,
            "bundle": "mini",
            "heard": {"ended_at": ended_at},
        },
        {"kind": "spoken", "why": "answer", "began_at": ended_at + first_sound * MS},
    ]


def lines(records):
    return [json.dumps(record).encode() for record in records]


def test_each_stage_is_counted_from_the_end_of_speech():
    records = question(AT, 800, 950.0, 1100) + question(AT + 9_000 * MS, 900, 1250.0, 1500)
    records.append({"kind": "heard", "taken_as": "nothing", "ended_at": AT, "understood_at": AT})
    reached = read_stages(lines(records)).reached
    assert [reached[stage] for stage in STAGES] == [[800, 900], [950, 1250], [1100, 1500]]


def test_a_question_that_waits_behind_another_is_not_given_the_others_sound():
    records = question(AT, 800, 9_000.0, 9_500) + question(AT + 3_000 * MS, 900, 9_000.0, 9_600)
    reached = read_stages(lines(records)).reached
    assert reached[STAGES[2]] == [9_500, 9_600]


def test_what_is_no_record_and_a_run_without_voice_are_one_line(tmp_path, capsys):
    for text in ("{", '{"kind": 3}', '{"kind":"answer"}', ""):
        path = tmp_path / "r.jsonl"
        path.write_text(text)
        assert main([str(path)]) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert main([str(tmp_path / "nowhere")]) == 1


def test_the_table_is_printed(tmp_path, capsys):
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"\n".join(lines(question(AT, 800, 950.0, 1100))))
    page = tmp_path / "r.md"
    assert main([str(path), "--markdown", str(page)]) == 0
    assert "ms (mini)" in (printed := capsys.readouterr().out)
    assert "first spoken sound" in printed
    assert "| first spoken sound | 1 | 1,100 | 1,100 |" in page.read_text()

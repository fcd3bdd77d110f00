"""What goes wrong a thousand times is a line a second."""

from devices.complaints import MOST_CAUSES, Complaints, reason

SECOND = 1_000_000_000


def test_the_first_is_said_at_once_and_the_rest_once_a_second_with_its_count():
    lines = []
    complaints = Complaints(lines.append)
    for millisecond in range(2500):
        complaints.add("gaze: a defect", millisecond * SECOND // 1000)
    assert lines == ["gaze: a defect", *["gaze: a defect (1000 times)"] * 2]
    complaints.look(3 * SECOND - 1)
    assert len(lines) == 3
    complaints.look(3 * SECOND)
    assert lines[3:] == ["gaze: a defect (499 times)"]
    complaints.look(9 * SECOND)
    assert len(lines) == 4 and complaints.total == 2500


def test_one_cause_does_not_silence_another():
    lines = []
    complaints = Complaints(lines.append)
    for cause in ("one", "other", "one"):
        complaints.add(cause, 0)
    assert lines == ["one", "other"]


def test_causes_without_end_are_told_together():
    lines = []
    complaints = Complaints(lines.append)
    for number in range(10_000):
        complaints.add(f"cause {number}", number)
    assert len(lines) == MOST_CAUSES + 1 and lines[-1] == "other faults"
    complaints.look(2 * SECOND)
    assert lines[-1] == f"other faults ({10_000 - MOST_CAUSES - 1} times)"


def test_a_reason_is_one_printable_line():
    assert reason(ValueError("a\x1b[2J\nb")) == "ValueError: a\ufffd b"
    assert reason(KeyError()) == "KeyError"
    assert len(reason(OSError("x" * 10_000))) == 100

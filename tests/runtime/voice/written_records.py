"""Records that a test writes down."""

from runtime.answers.record import AnswerRecord, StreamFact

NOTHING = StreamFact(0, 0, {})
FACTS = {
    "question": "What?",
    "options": (),
    "answer": "",
    "probabilities": None,
    "truth": None,
    "asked_at": 1,
    "frame_at": 1,
    "gaze_at": 1,
    "frame_age_ms": 0.0,
    "gaze_age_ms": 0.0,
    "fixations": (),
    "context_start": 1,
    "steps": (1,),
    "ttft_ms": 1.0,
    "stages_ms": {},
    "frames": NOTHING,
    "gaze": NOTHING,
    "protocol": "causal",
    "bundle": "b",
    "engine": "e",
}
ALERT = {"raised_at": 1, "since_frame_ms": 0.0, "since_fixation_ms": None, "set_off_by": None}


def answer(text, options=()):
    return AnswerRecord(**(FACTS | {"answer": text, "options": options}))

"""The wordings of the questions that are asked about a synthetic wearer, {} for a thing."""

from __future__ import annotations

GAZE_ALERTS = (
    "Tell me when I look at {}.",
    "Tell me when I look at {}",
    "Alert me when I look at {}.",
    "Tell me when I am looking at {}.",
    "Notify me when the user gazes at {}.",
)
APPEARANCE_ALERTS = (
    "Tell me when {} appears.",
    "Tell me when you see {}.",
    "Alert me when {} appears.",
)
IDENTITY = (
    "What am I looking at?",
    "Which object am I looking at?",
    "What object is the user looking at?",
    "What is the user currently gazing at?",
)
COLOUR = ("What colour is the object I am looking at?", "What is the colour of what I look at?")
KIND = ("What kind of object am I looking at?", "What is it that I am looking at?")
FUTURE = ("What will I do next?", "What is the user going to do next?")
UNSEEN = ("Which object have I not looked at?", "Which object did the user not look at?")
SEEN = ("Which of these did I look at before?", "Which of these have I looked at?")
AFTERWARDS = ("What did I look at right after the {}?", "After the {}, what did the user look at?")
ORDER = ("In which order did I look last?", "What is the order of the last gazes?")
NEAREST = "Which object is nearest to the {}?"


def every_wording() -> tuple[str, ...]:
    """All wordings of all questions, {} where a thing is named."""
    return (
        *IDENTITY,
        *COLOUR,
        *KIND,
        *FUTURE,
        *UNSEEN,
        *SEEN,
        *AFTERWARDS,
        *ORDER,
        NEAREST,
        *GAZE_ALERTS,
        *APPEARANCE_ALERTS,
    )

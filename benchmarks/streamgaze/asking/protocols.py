"""What the protocols do, spelled out for a report: a figure means little without it."""

from __future__ import annotations

COMMON = (
    "Fixations come from StreamGaze's fixation files: dispersion rule on one gaze point per frame, "
    "2 s and more, each centre known as a whole beforehand. A live tracker has shorter ones too.",
    "Frame times are the video's own time stamps, counted from its first frame.",
    "A clip reaches from the video's start to the question for tasks about the past and for "
    "alerts, and over the last 60 s for tasks about the present.",
    "Official scoring: of a multiple choice the first standalone A to D counts; an alert's "
    "response counts by the substring YES or NO. A question without a response leaves the "
    "denominator of a multiple-choice task and is wrong in an alert's.",
    "The overall figure is the unweighted mean of the tasks, as published; the question-weighted "
    "mean stands beside it.",
    "Intervals and p treat questions as independent. Several about one video are not quite: with "
    "few videos the true uncertainty is larger.",
)

CAUSAL = (
    "`causal`: the live session's code and rules. A step uses only what was captured up to its own "
    "time, its frames at their true times.",
    "The context opens where the clip starts and steps are counted from there; the clip's length "
    "up to the time stamp decides the sampling rate (1, 0.5, 0.2 or 0.1 frames per second).",
    "A question adds a tail step with the newest frames and the fixations active at that moment, "
    "which is how the fixation being asked about comes in.",
    "Time stamps are whole seconds, so that fixation may begin up to half a second later: "
    "`--ask-after` moves every question by so much.",
)

NOT_REPRODUCED = (
    "Not reproduced of the release: the pre-roll and re-encoding of cut clips, and the retry with "
    "fewer frames when memory runs out. The frame count is fixed."
)

RELEASED = (
    "`released`: what the released GazeQwen evaluation does, properties kept on purpose.",
    "At most 8 frames of a clip, evenly spaced over it, while the steps are given times that "
    "follow the sampling rate: in a clip of 60 s they are taken to lie at 0, 4, 8 and 12 s.",
    "V-JEPA sees the 8 frames and then the last one repeated to 16, so the later steps get "
    "features of the last frame.",
    "Fixations are kept by their midpoint in the clip: the fixation being asked about, which "
    "starts at the time stamp, is dropped.",
    "An alert is asked as A. Yes / B. No, and the arg-max runs over A to D: C and D are wrong.",
    NOT_REPRODUCED,
)

PROPERTIES = {"causal": CAUSAL, "released": RELEASED}

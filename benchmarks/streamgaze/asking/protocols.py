"""What the protocols do, spelled out for a report: a figure means little without it."""

from __future__ import annotations

RULES = 2  # changes with what any protocol does: runs of other rules are not gone on with

COMMON = (
    "Fixations come from StreamGaze's fixation files: dispersion rule on one gaze point per frame, "
    "2 s and more, each centre known as a whole beforehand. A live tracker has shorter ones too.",
    "Frame times are the video's own time stamps, counted from its first frame.",
    "A clip reaches from the video's start to the question for tasks about the past and for "
    "alerts, and over the last 60 s for tasks about the present; a test point's own "
    "`input_video_clip` goes before.",
    "Official scoring: of a multiple choice the first standalone A to D counts; an alert's "
    "response counts by the substring YES or NO. A question without a response leaves the "
    "denominator of a multiple-choice task and is wrong in an alert's.",
    "The overall figure is the unweighted mean of the tasks, as published. Officially a task is "
    "0 % if there is a file of it but nothing in it that counts; where that is so, the mean "
    "without such tasks stands beside it, and always the question-weighted mean.",
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
    "Not reproduced of the release: the pre-roll of clips cut without re-encoding; the thinning of "
    "clips longer than 60 s to a frame per 5 or 10 s and their re-encoding, before 8 frames are "
    "taken, so that in those its frames may lie as far from ours; the retry with fewer frames when "
    "memory runs out (the frame count is fixed). It runs without gaze where a fixation file is "
    "missing, without its rows that are no numbers, and with its column `duration` in place of end "
    "minus start, and it asks beyond the end of a video: here such a file or question is named and "
    "left out. It leaves out questions whose answer is more than the letter, and takes a "
    "question's own `task_type` for its clip: here the letter is found, and the file says which "
    "task it is."
)

RELEASED = (
    "`released`: what the released GazeQwen evaluation does, properties kept on purpose.",
    "A clip ends before the frame at exactly its end, as ffmpeg's -t cuts it. Frames are counted, "
    "not seconds, and resized in float32, rounded once; a fixation is active by its middle and "
    "half its duration in float32.",
    "Questions and options are stripped, and an option gets its letter unless it begins with that "
    "letter and a full stop. What looks like one of the model's own marks in a text counts as one.",
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

"""OpenAI's own client asks the live stream and pictures."""

import base64
import io
import json
import math
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openai
import pytest
from PIL import Image
from served_run import served

COLOURS = {
    "type": "json_schema",
    "json_schema": {"name": "colour", "schema": {"type": "string", "enum": ["red", "blue"]}},
}
ASKED = "What am I looking at?"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("served") / "run.jsonl"
    with served("--record", str(out)) as (address, _):
        time.sleep(1.5)  # until there is a step
        yield address, out


@pytest.fixture(scope="module")
def client(run):
    return openai.OpenAI(base_url=f"{run[0]}v1", api_key="none", max_retries=0)


def ask(client, content=ASKED, **more):
    messages = [{"role": "user", "content": content}]
    return client.chat.completions.create(model="mini", messages=messages, **more)


def picture():
    held = io.BytesIO()
    Image.fromarray(np.full((64, 64, 3), (200, 30, 30), np.uint8)).save(held, "PNG")
    return f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}"


def test_the_model_that_runs_is_listed(client):
    assert [model.id for model in client.models.list()] == ["mini"]


def test_the_answer_is_the_one_that_is_recorded(client, run):
    completion = ask(client)
    facts = completion.model_extra["gazeqwen"]
    records = [json.loads(line) for line in run[1].read_text().splitlines()]
    (record,) = [r for r in records if r["kind"] == "answer" and r["asked_at"] == facts["asked_at"]]
    assert completion.choices[0].message.content == record["answer"]
    assert facts == record
    usage = completion.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens > 16 * len(record["steps"])


def test_a_stream_says_what_its_record_says(client):
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    (facts,) = [c.model_extra["gazeqwen"] for c in chunks if "gazeqwen" in c.model_extra]
    assert said == facts["answer"]
    assert chunks[-1].usage.completion_tokens > 0


def test_options_with_their_probabilities(client):
    completion = ask(client, response_format=COLOURS, logprobs=True)
    facts = completion.model_extra["gazeqwen"]
    assert json.loads(completion.choices[0].message.content) in ("red", "blue")
    (token,) = completion.choices[0].logprobs.content
    told = {top.token: math.exp(top.logprob) for top in token.top_logprobs}
    assert told == pytest.approx(facts["probabilities"])
    assert sum(told.values()) == pytest.approx(1)


def test_letters_in_the_text_are_options(client):
    completion = ask(client, "Which colour?\nA. red\nB. blue")
    assert completion.choices[0].message.content in ("A", "B")
    assert completion.model_extra["gazeqwen"]["options"] == ["red", "blue"]


def test_gaze_on_a_picture_is_what_the_answer_rests_on(client):
    image = {"type": "image_url", "image_url": {"url": picture()}, "gaze": [[0.25, 0.75]]}
    facts = ask(client, [{"type": "text", "text": ASKED}, image]).model_extra["gazeqwen"]
    (fixation,) = facts["fixations"]
    assert (fixation["x"], fixation["y"]) == (0.25, 0.75)
    assert len(facts["steps"]) == 1


def test_the_newer_form_says_the_same(client):
    response = client.responses.create(model="mini", input=ASKED)
    facts = response.model_extra["gazeqwen"]
    assert response.status == "completed" and response.output_text == facts["answer"] != ""
    usage = response.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert usage.output_tokens > 0


def test_the_newer_form_in_pieces(client):
    events = list(client.responses.create(model="mini", input=ASKED, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    (done,) = [event.text for event in events if event.type == "response.output_text.done"]
    assert events[-1].type == "response.completed"
    assert said == done == events[-1].response.output_text != ""


def test_the_newer_form_with_options_and_a_picture(client):
    parts = [
        {"type": "input_text", "text": "Which colour?"},
        {"type": "input_image", "image_url": picture(), "gaze": [[0.5, 0.5]]},
    ]
    layout = {"type": "json_schema", **COLOURS["json_schema"]}
    asked = [{"role": "user", "content": parts}]
    for stream in (False, True):
        more = {"text": {"format": layout}, "stream": stream}
        response = client.responses.create(model="mini", input=asked, **more)
        response = list(response)[-1].response if stream else response
        facts = response.model_extra["gazeqwen"]
        assert json.loads(response.output_text) in ("red", "blue")
        assert [(f["x"], f["y"]) for f in facts["fixations"]] == [(0.5, 0.5)]


@pytest.mark.parametrize(
    ("asked", "said"),
    [(" ", "no text"), ([], "no message"), ([{"role": "user", "content": [3]}], "can't be read")],
)
def test_what_the_newer_form_can_not_answer_is_an_error_in_their_form(client, asked, said):
    with pytest.raises(openai.BadRequestError, match=said):
        client.responses.create(model="mini", input=asked)


def test_two_clients_at_once_are_both_answered(client):
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: ask(client), range(2)))
    assert all(answer.choices[0].message.content for answer in answers)


@pytest.mark.parametrize(
    ("content", "more", "said"),
    [
        (" ", {}, "no text"),
        ("x", {"n": 2}, "n is 1"),
        ("x", {"response_format": {"type": "json_object"}}, "enum"),
        (
            [
                {"type": "text", "text": "x"},
                {"type": "image_url", "image_url": {"url": "http://127.0.0.1/a.png"}},
            ],
            {},
            "nothing is fetched",
        ),
    ],
)
def test_what_can_not_be_answered_is_an_error_in_their_form(client, content, more, said):
    with pytest.raises(openai.BadRequestError, match=said):
        ask(client, content, **more)

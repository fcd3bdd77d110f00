"""Corrections made on the page: none is lost, the tables follow, no other site makes any."""

import http.client
import json
import shutil
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from coded_wearer import coded, table, things_of
from drawn_recording import draw_cloud
from reviewed_folder import reviewed

from runtime.coding.__main__ import main
from runtime.coding.ledger import CodingError
from runtime.coding.review.corrections import CorrectionsFile, read_corrections


@pytest.fixture
def folder(coding_folder, tmp_path):
    return shutil.copytree(coding_folder, tmp_path / "out")


@pytest.fixture(scope="module")
def page(coding_folder, tmp_path_factory):
    """One page for the tests that only ask."""
    out = shutil.copytree(coding_folder, tmp_path_factory.mktemp("reviewed") / "out")
    with reviewed(out) as (address, _):
        yield urlsplit(address).port, out


def ask(port, method="GET", path="/fixations", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def correct(port, number, thing):
    body = json.dumps({"number": number, "thing": thing})
    status, said, _ = ask(port, "POST", "/corrections", body)
    assert status == 200, said
    return json.loads(said)


def test_a_kill_in_the_middle_loses_nothing_and_the_next_review_goes_on(folder):
    names = ['salt, "fine"', "чашка", "", "none of these"]
    with reviewed(folder) as (address, process):
        for number, name in enumerate(names):
            assert correct(urlsplit(address).port, number, name)["thing"] == name
        process.kill()
        process.wait(10)
    with reviewed(folder) as (address, _):
        told = json.loads(ask(urlsplit(address).port)[1])["fixations"]
        assert [each["thing"] for each in told[:4]] == names
        assert [each["checked"] for each in told] == [n < 4 for n in range(len(told))]
        correct(urlsplit(address).port, 1, "コップ")
    rows = table(folder / "wearer" / "fixations_coded.csv")
    assert [row["thing"] for row in rows[:4]] == [names[0], "コップ", *names[2:]]
    assert [row["corrected"] for row in rows[:5]] == ["True"] * 4 + ["False"]
    labels = {row["aoi label"] for row in table(folder / "aoi_metrics.csv")}
    assert {names[0], "コップ"} <= labels and "чашка" not in labels


def test_what_was_corrected_is_what_the_coding_command_writes(wearer, folder):
    with reviewed(folder) as (address, _):
        correct(urlsplit(address).port, 0, "teapot")
    written = {path.name: path.read_bytes() for path in folder.glob("*/*") if path.is_file()}
    assert coded(wearer.folder, folder, "--things", things_of(wearer), "--bids") == 0
    again = {path.name: path.read_bytes() for path in folder.glob("*/*") if path.is_file()}
    assert again == written and b"teapot" in written["fixations_coded.csv"]


def test_pictures_are_of_the_fixation_and_of_its_whole_frame(page):
    port, out = page
    status, picture, _ = ask(port, path="/fixations/1.jpg")
    assert (status, picture) == (200, (out / "wearer" / "crops" / "000001.jpg").read_bytes())
    status, frame, headers = ask(port, path="/frames/1.jpg")
    assert status == 200 and frame[:2] == b"\xff\xd8"
    assert "default-src 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/page/style.css", 200),
        ("/page/..%2Froutes.py", 404),
        ("/page/page.js", 404),
        ("/fixations/999999.jpg", 404),
        ("/frames/-1.jpg", 404),
    ],
)
def test_only_what_belongs_to_the_page_is_found(page, path, status):
    assert ask(page[0], path=path)[0] == status


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ('{"number": 0, "thing": "x"}', {"Origin": "http://evil.example"}, 403),
        ('{"number": 0, "thing": "x"}', {"Host": "evil.example"}, 421),
        ('{"number": -1, "thing": "x"}', {}, 404),
        ('{"number": 100000, "thing": "x"}', {}, 404),
        ('{"number": 0}', {}, 400),
        ("[" * 100_000, {}, 400),
    ],
)
def test_what_is_no_correction_or_of_another_site_changes_nothing(page, body, headers, status):
    file = page[1] / "wearer" / "corrections.csv"
    before = file.read_bytes()
    assert ask(page[0], "POST", "/corrections", body, **headers)[0] == status
    assert file.read_bytes() == before


def test_a_recording_without_a_fixation_has_a_page_without_one(tmp_path):
    cloud = draw_cloud(tmp_path / "cloud", not_worn=range(200))
    assert coded(cloud.path, tmp_path / "out", "--things", "cup,key") == 0
    with reviewed(tmp_path / "out") as (address, _):
        port = urlsplit(address).port
        told = json.loads(ask(port)[1])
        assert told["fixations"] == [] and told["things"] == ["cup", "key"]
        assert json.loads(ask(port, path="/agreement")[1])["fixations"] == 0


def test_another_address_wants_the_token(folder):
    with reviewed(folder, address="0.0.0.0:0") as (address, _):
        port, query = urlsplit(address).port, urlsplit(address).query
        assert ask(port)[0] == 401
        token = query.removeprefix("token=")
        assert ask(port, Authorization=f"Bearer {token}")[0] == 200


def test_a_second_reviewer_of_the_same_corrections_is_refused_one_with_a_file_is_not(folder):
    with reviewed(folder) as (address, _):
        command = [sys.executable, "-m", "runtime.coding", "--review", str(folder)]
        ended = subprocess.run(
            [*command, "--serve", "127.0.0.1:0"], capture_output=True, text=True, timeout=60
        )
        assert ended.returncode == 1
        assert ended.stderr.count("\n") == 1 and "another process" in ended.stderr
        own = folder.parent / "ben.csv"
        with reviewed(folder, "--corrections", str(own)) as (other, _):
            correct(urlsplit(other).port, 0, "kettle")
        assert read_corrections(own) == {0: "kettle"}
        assert not json.loads(ask(urlsplit(address).port)[1])["fixations"][0]["checked"]


def test_a_line_cut_short_is_done_again_and_one_that_only_lacks_its_end_counts(tmp_path):
    file = tmp_path / "corrections.csv"
    head = "row,fixation id,thing,proposal\n0,1,cup,key\n"
    for tail, kept in (("1,2,pla", {0: "cup"}), ("1,2,plate,", {0: "cup", 1: "plate"})):
        file.write_text(head + tail)
        assert read_corrections(file) == kept
        opened = CorrectionsFile(file)
        opened.add({"row": "5", "thing": "jug", "proposal": "a, b"})
        opened.close()
        assert read_corrections(file) == {**kept, 5: "jug"}
        assert read_corrections(file, "proposal")[5] == "a, b"


def test_columns_of_a_persons_own_stay(tmp_path):
    file = tmp_path / "corrections.csv"
    before = b"\xef\xbb\xbfthing,note,row\r\ncup,looks odd,3\r\n"
    file.write_bytes(before)
    opened = CorrectionsFile(file)
    assert opened.before == {3: "cup"}
    opened.add({"row": "4", "thing": "jug", "proposal": "cup"})
    opened.close()
    assert file.read_bytes() == before + b"jug,,4\n"


def test_a_file_that_is_no_corrections_is_left_as_it_is(tmp_path):
    file = tmp_path / "corrections.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(CodingError, match="no corrections"):
        CorrectionsFile(file)
    assert file.read_text() == "a,b\n1,2\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--review", "nowhere"], "no coding lies there"),
        (["--review", "{out}/wearer"], "the folder of all"),
        (["--review", "{out}", "--serve", "nowhere:x"], "should read like"),
        (["--review", "{out}", "--corrections", "{out}/aoi_visits.csv"], "no corrections"),
    ],
)
def test_what_can_not_be_reviewed_is_one_line(folder, capsys, arguments, said):
    assert main([each.format(out=folder) for each in arguments]) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize("missing", ["recording", "recipe.json"])
def test_a_recording_that_is_gone_is_one_line(folder, capsys, missing):
    recipe = folder / "wearer" / "recipe.json"
    made = json.loads(recipe.read_text())
    recipe.unlink()
    if missing == "recording":
        recipe.write_text(json.dumps({**made, "recording": str(folder / "gone")}))
    assert main(["--review", str(folder), "--serve", "127.0.0.1:0"]) == 1
    error = capsys.readouterr().err
    assert "once more" in error and error.count("\n") == 1

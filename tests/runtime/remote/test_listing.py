"""What lies at a URL is listed and copied as it is, or one line says why it can't be."""

import subprocess
import sys
from argparse import ArgumentTypeError

import pytest
from elsewhere import Quiet, in_memory, on_the_web

from runtime.remote.listing import below, examined, is_folder, matching
from runtime.remote.urls import RemoteError, Url, location

pytest.importorskip("fsspec", reason="needs the extra 'url'")
FILES = {"info.json": b"{}", "sub/a b.csv": b"x,y\n", "sub/ключ.CSV": b"1", "clip.mp4": b"\0" * 99}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "recording"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def copied(found, folder):
    folder.mkdir()
    found.fetch(folder, lambda: None)
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_paths_and_urls_are_told_apart():
    assert location("a/b").name == "b" and not isinstance(location("s3:/a"), Url)
    assert isinstance(location("s3://bucket/a"), Url) and location("gs://b/rec/").name == "rec"
    assert location("https://host/my%20clip.mp4?sig=x").name == "my clip.mp4"


@pytest.mark.parametrize(
    "text", ["https://host/%2e%2e", "s3://..", "s3://x/a%00b", "https://[host"]
)
def test_a_url_that_names_nothing_that_can_lie_here_is_refused(text):
    with pytest.raises(ArgumentTypeError):
        location(text)


def test_nothing_secret_is_shown():
    url = Url("https://me:secret@host/clip.mp4?Signature=secret")
    assert str(url) == url.public == "https://host/clip.mp4"


def test_a_folder_comes_whole(put, folder, tmp_path):
    found = examined(Url(put(folder.parent).rstrip("/") + "/recording/"))
    assert found.is_folder and found.size == sum(map(len, FILES.values()))
    expected = {f"recording/{name}": content for name, content in FILES.items()}
    assert copied(found, tmp_path / "copy") == expected


def test_only_what_is_wanted_comes(put, folder, tmp_path):
    url = Url(put(folder))
    tables = copied(examined(url, (".csv",)), tmp_path / "copy")
    assert {name.rpartition("/")[2] for name in tables} == {"a b.csv", "ключ.CSV"}
    (place,) = below(url, {".mp4"}).values()
    assert copied(examined(place), tmp_path / "video") == {"clip.mp4": FILES["clip.mp4"]}
    with pytest.raises(RemoteError, match=r"there is no \.mkv or \.mov in it"):
        below(url, {".mov", ".mkv"})


def test_another_file_under_a_name_has_another_stamp(put, folder):
    url = Url(put(folder))
    before = {file.name: file.stamp for file in examined(url).files}
    assert {file.name: file.stamp for file in examined(url).files} == before
    if url.is_web:
        (folder / "info.json").write_bytes(b"[1]")
    else:
        import fsspec

        fsspec.filesystem("memory").pipe("/recording/info.json", b"[1]")
    after = {file.name: file.stamp for file in examined(url).files}
    assert {name for name in before if before[name] != after[name]} == {"info.json"}


def test_a_pattern_stands_for_all_that_have_such_a_name(tmp_path):
    for name in ("b", "a", "other"):
        (tmp_path / "lab" / name).mkdir(parents=True)
        (tmp_path / "lab" / name / "x.csv").write_text(name)
    with in_memory() as put:
        url = Url(put(tmp_path / "lab"))
        found = matching(url.below("[ab]"))
        assert [each.text for each in found] == ["memory://lab/a/", "memory://lab/b/"]
        assert all(map(is_folder, found)) and matching(url) == [url]
        with pytest.raises(RemoteError, match="nothing there has such a name"):
            matching(url.below("z*"))


def test_a_file_that_comes_short_is_refused(folder, tmp_path):
    class Short(Quiet):
        def copyfile(self, source, output):
            output.write(source.read()[:-1])

    with on_the_web(Short) as put:
        found = examined(Url(put(folder) + "clip.mp4"))
        with pytest.raises(RemoteError) as raised:
            copied(found, tmp_path / "copy")
    assert "can't be had" in str(raised.value) and "\n" not in str(raised.value)


def test_a_name_that_leads_out_of_the_folder_is_refused():
    import fsspec

    system = fsspec.filesystem("memory")
    system.pipe("/set/../outside.csv", b"")
    try:
        with pytest.raises(RemoteError, match="a name that can't be one here"):
            examined(Url("memory://set/"))
    finally:
        system.rm("/set", recursive=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http://127.0.0.1:1/clip.mp4", "127.0.0.1:1/clip.mp4: can't be had"),
        ("memory://nowhere/clip.mp4", "memory://nowhere/clip.mp4: can't be had"),
        ("s3://bucket/clip.mp4", "s3fs"),
        ("gs://bucket/clip.mp4", "gcsfs"),
        ("nonsense://x/y", "Protocol not known: nonsense"),
    ],
)
def test_what_can_not_be_had_is_one_line(text, said, monkeypatch):
    for plugin in ("s3fs", "gcsfs"):
        monkeypatch.setitem(sys.modules, plugin, None)
    with pytest.raises(RemoteError) as raised:
        examined(Url(text))
    assert said in str(raised.value) and "\n" not in str(raised.value)


def test_without_the_extra_it_is_one_line(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("fsspec.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(RemoteError, match="it needs the extra 'url': fsspec is not installed"):
        examined(Url("memory://x/y"))


def test_nothing_of_it_is_imported_for_paths(tmp_path):
    program = (
        "import sys, runtime.coding.__main__ as coding, benchmarks.streamgaze.__main__ as run; "
        "assert coding.main(['nowhere', '--out', 'out']) == 1; "
        "assert run.main(['--check', '--data', 'nowhere']) == 1; "
        "sys.exit('fsspec' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False)
    assert ended.returncode == 0

"""Recordings that are coded in a second or two, for jobs that are spread."""

from drawn_recording import START, Span, draw_cloud

from runtime.coding.__main__ import main

NAMES = ("first", "second", "third")
ASKED = ("--things", "cup,key", "--engine", "cpu", "--cores", "1")


def draw_several(folder):
    """Recordings of 4, 5 and 6 fixations; the folder they lie in."""
    for count, name in enumerate(NAMES, start=4):
        starts = [START + number * 200_000_000 for number in range(count)]
        spans = [Span(at, at + 150_000_000, (20, 20), (20, 24)) for at in starts]
        draw_cloud(folder / name, fixations=spans)
    return folder


def files_of(out):
    """All files of a coding but those that say where and how it was made."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file()
        and path.name not in ("units.jsonl", "recipe.json", "coding.eaf")
        and path.relative_to(out).parts[0] not in ("shards", "slurm")
    }


def coded_here(folder, out):
    """The files that a coding in this process gives."""
    assert main([str(folder), "--out", str(out), *ASKED]) == 0
    return files_of(out)

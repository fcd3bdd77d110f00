"""Tiers for ELAN: what each fixation and each visit is on, over the scene video."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from xml.etree import ElementTree

from runtime.coding.results import Coding
from runtime.coding.visits import visits_of

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
Span = tuple[int, int, str]


def elan(coding: Coding) -> bytes:
    """An annotation document of EAF 3.0; times in milliseconds of the video."""
    video = coding.source.read.video.files[0].path
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "",
            "DATE": datetime.fromtimestamp(
                coding.source.read.start // SECOND, timezone.utc
            ).isoformat(),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            f"{{{INSTANCE}}}noNamespaceSchemaLocation": SCHEMA,
        },
    )
    ElementTree.register_namespace("xsi", INSTANCE)
    head = ElementTree.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    address = {"MEDIA_URL": video.resolve().as_uri(), "MIME_TYPE": "video/mp4"}
    ElementTree.SubElement(
        head, "MEDIA_DESCRIPTOR", {**address, "RELATIVE_MEDIA_URL": f"./{video.name}"}
    )
    order = ElementTree.SubElement(root, "TIME_ORDER")
    fixations = [(each.row.started_at, each.row.ended_at, each) for each in coding.fixations]
    tiers: dict[str, list[Span]] = {
        "fixation": [(start, end, each.thing) for start, end, each in fixations],
        "visit": [(v.started_at, v.ended_at, v.thing) for v in visits_of(coding.fixations)],
    }
    spans = {name: _apart(each, coding.source.read.start) for name, each in tiers.items()}
    slots = sorted({time for each in spans.values() for span in each for time in span[:2]})
    names = {time: f"ts{place}" for place, time in enumerate(slots, start=1)}
    for time, slot in names.items():
        ElementTree.SubElement(order, "TIME_SLOT", TIME_SLOT_ID=slot, TIME_VALUE=str(time))
    number = 0
    for tier, own in spans.items():
        element = ElementTree.SubElement(
            root, "TIER", LINGUISTIC_TYPE_REF="default-lt", TIER_ID=tier
        )
        for start, end, text in own:
            number += 1
            outer = ElementTree.SubElement(element, "ANNOTATION")
            inner = ElementTree.SubElement(
                outer,
                "ALIGNABLE_ANNOTATION",
                ANNOTATION_ID=f"a{number}",
                TIME_SLOT_REF1=names[start],
                TIME_SLOT_REF2=names[end],
            )
            ElementTree.SubElement(inner, "ANNOTATION_VALUE").text = text
    ElementTree.SubElement(
        root,
        "LINGUISTIC_TYPE",
        GRAPHIC_REFERENCES="false",
        LINGUISTIC_TYPE_ID="default-lt",
        TIME_ALIGNABLE="true",
    )
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _apart(spans: Iterable[Span], start: int) -> list[Span]:
    """In milliseconds, none empty or overlapping, as a tier holds them; without unknown things."""
    kept: list[Span] = []
    for began, ended, text in spans:
        if not text:
            continue
        first = max(0, round((began - start) / MILLISECOND))
        if kept:
            first = max(first, kept[-1][1])
        last = round((ended - start) / MILLISECOND)
        if last > first:
            kept.append((first, last, text))
    return kept

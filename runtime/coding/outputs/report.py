"""The report: one HTML file that opens without a network, pictures included."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from html import escape
from pathlib import Path

from runtime.coding.outputs.figures import (
    colours_of,
    dwell_bars,
    scarf,
    transition_matrix,
)
from runtime.coding.question import NONE_LISTED
from runtime.coding.results import CodedFixation, Coding

MOST_INLINE = 2000  # pictures within the file; more are linked where they lie
THUMBNAILS = 12  # of each thing
STYLE = """
:root{color-scheme:light}
body{font:15px/1.5 system-ui,sans-serif;color:#22262b;background:#fff;max-width:1000px;
margin:32px auto;padding:0 20px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:17px;margin:36px 0 10px}
p{margin:6px 0}.faint{color:#6b7380}.warn{background:#fff6dd;border-left:3px solid #d9a400;
padding:8px 12px}svg{max-width:100%;height:auto}
.key span{display:inline-block;margin:2px 14px 2px 0}.key i{display:inline-block;width:12px;
height:12px;margin-right:6px;border-radius:2px;vertical-align:-1px}
.thing{display:flex;gap:6px;flex-wrap:wrap;margin:4px 0 14px}
.thing a,.eye{position:relative;display:inline-block;line-height:0}
.thing img{width:76px;height:76px;border-radius:4px}
.thing a:after,.eye:after{content:"";position:absolute;left:50%;top:50%;width:10px;height:10px;
margin:-7px;border:2px solid #fff;border-radius:50%;
box-shadow:0 0 0 1px #0008,inset 0 0 0 1px #0008}
table{border-collapse:collapse;width:100%;font-size:13px}
th{text-align:left;font-weight:600}th.number{text-align:right}
th{border-bottom:1px solid #c9ced6;padding:4px 8px}
td{border-bottom:1px solid #eceef1;padding:4px 8px;vertical-align:middle}
td img{width:48px;height:48px;border-radius:3px}tr:target{background:#fff6dd}
.number{text-align:right;font-variant-numeric:tabular-nums}
"""


def report(coding: Coding) -> str:
    """The whole page."""
    colours = colours_of(coding)
    title = escape(coding.source.name)
    return "".join(
        (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            f"<title>Gaze coding: {title}</title><style>{STYLE}</style></head><body>",
            f"<h1>{title}</h1>",
            *_facts(coding),
            "<h2>Order of looks</h2>",
            scarf(coding, colours),
            _key(coding, colours),
            "<h2>Time on each thing</h2>",
            dwell_bars(coding, colours),
            "<h2>From one to another</h2>",
            '<p class="faint">Rows: from; columns: to. What is unsure in between is left out.</p>',
            transition_matrix(coding),
            "<h2>What was seen as what</h2>",
            *_thumbnails(coding),
            "<h2>Every fixation</h2>",
            *_rows(coding),
            "</body></html>\n",
        )
    )


def _facts(coding: Coding) -> Iterator[str]:
    made, fixations = coding.conditions, coding.fixations
    unsure = sum(each.is_unsure and not each.code.trouble for each in fixations)
    unseen = sum(each.code.trouble is not None for each in fixations)
    corrected = sum(each.is_corrected for each in fixations)
    count = len(fixations)
    seconds = (coding.source.read.end - coding.source.read.start) / 1e9
    yield (
        f"<p>{escape(made.recording)}, {seconds:.1f} s, {count} fixations "
        f"({escape(made.fixations)}).</p>"
    )
    of_all = max(count, 1)
    yield (
        f"<p>{count - unsure - unseen} coded, {unsure} unsure ({100 * unsure / of_all:.0f} %, "
        f"confidence below {coding.threshold:g}), {unseen} could not be looked at, "
        f"{corrected} corrected by hand.</p>"
    )
    listed = f"{len(made.things)} things listed" if made.things else "free text"
    yield (
        f'<p class="faint">Asked: “{escape(made.question)}”, {listed}; bundle '
        f"{escape(made.bundle)}, {escape(made.engine)}; gaze: {escape(made.gaze)}.</p>"
    )
    for line in warnings(coding):
        yield f'<p class="warn">{escape(line)}</p>'


def warnings(coding: Coding) -> list[str]:
    """What a reader must know before believing a number."""
    made, lines = coding.conditions, []
    if made.weights == "random":
        lines.append("The weights of this bundle are random: the names mean nothing.")
    if made.bundle == "mini" and not coding.source.name.startswith("synthetic"):
        lines.append(
            "mini knows drawn tables and nothing of real scenes: on a real recording its names "
            "mean nothing, and only the way through the files is shown."
        )
    if made.gaze == "none":
        lines.append("Gaze was left out: the names do not depend on where the wearer looked.")
    both = [each.code for each in coding.fixations if each.code.without is not None]
    if both:
        decided = sum(code.without != code.thing for code in both)
        lines.append(
            f"Without gaze, {decided} of {len(both)} fixations ({100 * decided / len(both):.0f} %) "
            "would have another name."
        )
    return lines


def _key(coding: Coding, colours: dict[str, str]) -> str:
    seen = {each.thing for each in coding.fixations}
    names = [name for name in (*coding.things, NONE_LISTED, "") if name in seen]
    entries = (
        f'<span><i style="background:{colours[name]}"></i>{escape(name or "unsure")}</span>'
        for name in names
    )
    return f'<p class="key">{"".join(entries)}</p>'


def _thumbnails(coding: Coding) -> Iterator[str]:
    for thing in (*coding.things, NONE_LISTED, ""):
        own = [each for each in coding.fixations if each.thing == thing and each.code.crop]
        if not own:
            continue
        own.sort(key=lambda each: -(each.code.confidence or 0))
        shown = own[:: max(1, -(-len(own) // THUMBNAILS))]
        yield f"<p>{escape(thing or 'unsure')} <span class='faint'>({len(own)})</span></p>"
        yield '<div class="thing">'
        for each in shown:
            link = f'<a href="#f{each.row.number}" title="fixation {escape(each.row.name)}">'
            yield f"{link}{_image(coding, each, inline=True)}</a>"
        yield "</div>"


def _rows(coding: Coding) -> Iterator[str]:
    start = coding.source.read.start
    yield (
        "<table><thead><tr><th></th><th>fixation</th><th class='number'>at</th>"
        "<th class='number'>lasts</th><th>thing</th>"
        "<th>also</th><th class='number'>confidence</th><th></th></tr></thead><tbody>"
    )
    inline = len(coding.fixations) <= MOST_INLINE
    for each in coding.fixations:
        code = each.code
        picture = ""
        if code.crop:
            image = _image(coding, each, inline)
            picture = f'<a class="eye" href="{escape(code.crop)}">{image}</a>'
        confidence = "" if code.confidence is None else f"{code.confidence:.2f}"
        note = code.trouble or ("by hand" if each.is_corrected else "")
        unsure = f'<span class="faint">unsure ({escape(code.thing or "nothing said")})</span>'
        name = unsure if each.is_unsure and not code.trouble else escape(each.thing)
        yield (
            f'<tr id="f{each.row.number}"><td>{picture}</td><td>{escape(each.row.name)}</td>'
            f'<td class="number">{(each.row.started_at - start) / 1e9:.2f} s</td>'
            f'<td class="number">{each.milliseconds:.0f} ms</td><td>{name}</td>'
            f"<td>{escape('; '.join(each.things[1:]))}</td>"
            f'<td class="number">{confidence}</td><td class="faint">{escape(note)}</td></tr>'
        )
    yield "</tbody></table>"


def _image(coding: Coding, each: CodedFixation, inline: bool) -> str:
    crop = each.code.crop or ""
    source = _data(coding.folder / crop) if inline else crop
    return f'<img loading="lazy" alt="" src="{escape(source)}">'


def _data(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError:
        return ""
    return "data:image/jpeg;base64," + base64.b64encode(content).decode("ascii")

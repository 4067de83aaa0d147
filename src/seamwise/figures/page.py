"""One self-contained HTML page: text, tables, figures and pictures in a file that loads nothing and runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seamwise.figures.markup import Markup, join, tag
from seamwise.figures.overlay import data_uri
from seamwise.figures.style import STYLE

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_WORDS = {"en": {"lang": "en", "contents": "Contents"}, "zh": {"lang": "zh-CN", "contents": "目录"}}


@dataclass(frozen=True)
class Section:
    """A part of a page: its heading and what stands below it."""

    title: str
    body: Markup


def page(title: str, sections: Sequence[Section], language: str = "en", lead: str = "") -> str:
    """The whole HTML file: title, lead paragraph, table of contents, sections. language: "en" or "zh"."""
    if language not in _WORDS:
        raise ValueError(f"language must be one of {', '.join(_WORDS)}, not {language!r}")
    words = _WORDS[language]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Markup(STYLE)),
    )
    entries = [tag("li", tag("a", section.title, href=f"#part-{k}")) for k, section in enumerate(sections, 1)]
    contents = tag("nav", tag("h2", words["contents"]), tag("ol", *entries), aria_label=words["contents"])
    parts = [
        tag("section", tag("h2", section.title), section.body, id=f"part-{k}") for k, section in enumerate(sections, 1)
    ]
    header = tag("header", tag("h1", title), paragraph(lead) if lead else "")
    body = tag("body", tag("main", header, contents if len(sections) > 2 else "", *parts))
    return f"<!doctype html>\n{tag('html', head, body, lang=words['lang'])}\n"


def paragraph(*content: object) -> Markup:
    """A paragraph of text."""
    return tag("p", *content, "")


def table(
    headers: Sequence[object], rows: Sequence[Sequence[object]], caption: str = "", text_columns: Sequence[int] = (0,)
) -> Markup:
    """A table that scrolls sideways where it is too wide; all but `text_columns` are numbers, set to the right."""
    kinds = [None if column in text_columns else "number" for column in range(len(headers))]
    head = [tag("th", name, "", scope="col", class_=kind) for name, kind in zip(headers, kinds, strict=True)]
    lines = [
        tag("tr", *(tag("td", cell, "", class_=kind) for cell, kind in zip(row, kinds, strict=True))) for row in rows
    ]
    whole = tag("table", tag("thead", tag("tr", *head)), tag("tbody", *lines, ""))
    # The caption stays in place when the table is scrolled, so it stands outside.
    above = tag("p", caption, class_="caption") if caption else ""
    return join([above, tag("div", whole, class_="wide", tabindex=0, role="region", aria_label=caption or None)])


def strong(content: object) -> Markup:
    """Text that stands out."""
    return tag("strong", content)


def figure(svg: str, caption: str = "") -> Markup:
    """A chart of this package (trusted SVG) with its caption."""
    return figures([svg], caption)


def figures(svgs: Sequence[str], caption: str = "", legend: Sequence[str] = (), column_rem: int = 21) -> Markup:
    """Charts (trusted SVG) side by side, as many as fit, under a shared legend and over one caption.

    legend: its entries, each an SVG.
    column_rem: least width of a column in root font sizes (16 pixels, usually).
    """
    shared = [tag("div", *(Markup(entry) for entry in legend), class_="legend")] if legend else []
    look = {"class_": "charts", "style": f"--column:{column_rem}rem"} if len(svgs) > 1 else {"class_": "chart"}
    below = [tag("figcaption", caption)] if caption else []
    return tag("figure", *shared, tag("div", *(Markup(svg) for svg in svgs), "", **look), *below)


def gallery(rows: Mapping[str, Sequence[tuple[str, bytes]]], corner: str = "", caption: str = "") -> Markup:
    """Pictures in a table: one row a name, one column a label; each picture is (label, PNG file)."""
    labels = list(dict.fromkeys(label for pictures in rows.values() for label, _ in pictures))
    head = tag("tr", tag("th", corner, "", scope="col"), *(tag("th", label, scope="col") for label in labels))
    lines = []
    for name, pictures in rows.items():
        shown = dict(pictures)
        cells = [
            tag("td", tag("img", src=data_uri(shown[label]), alt=f"{name}, {label}", loading="lazy"))
            if label in shown
            else tag("td", "")
            for label in labels
        ]
        lines.append(tag("tr", tag("th", name, scope="row"), *cells))
    whole = tag("table", tag("thead", head), tag("tbody", *lines, ""), class_="gallery")
    below = [tag("figcaption", caption)] if caption else []
    return tag(
        "figure", tag("div", whole, class_="wide", tabindex=0, role="region", aria_label=caption or None), *below
    )


def swatches(colours: Mapping[str, str]) -> Markup:
    """A key of names and their CSS colours, in one line."""
    return tag(
        "p",
        *(tag("span", tag("i", "", style=f"background:{colour}"), name) for name, colour in colours.items()),
        class_="swatches",
    )


def definitions(entries: Mapping[str, object]) -> Markup:
    """A list of names and what they are: parameters, versions."""
    return tag("dl", *(tag("div", tag("dt", name, ""), tag("dd", value, "")) for name, value in entries.items()))


def code(content: str) -> Markup:
    """A command or other text to be copied as it stands."""
    return tag("pre", tag("code", content, ""), tabindex=0)


def note(*content: object) -> Markup:
    """An aside in a quiet box."""
    return tag("div", join(content), class_="note")

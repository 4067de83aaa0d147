import re
from xml.etree import ElementTree

import numpy as np
import pytest

from seamwise.figures.heatmap import heat_map
from seamwise.figures.markup import Markup
from seamwise.figures.overlay import png
from seamwise.figures.page import Section, code, definitions, figure, figures, gallery, note, page, paragraph, table

HOSTILE = "</title><script>alert(1)</script>\"' & 焊缝"


def parse(html: str) -> ElementTree.Element:
    assert html.startswith("<!doctype html>\n")
    return ElementTree.fromstring(html.partition("\n")[2])


def body() -> Markup:
    picture = png(np.zeros((3, 4), np.uint8))
    return Markup(
        paragraph(HOSTILE)
        + table([HOSTILE, "n"], [[HOSTILE, 1.5], ["", ""]], HOSTILE)
        + figure(heat_map([[1.0]], [HOSTILE], ["c"], HOSTILE), HOSTILE)
        + figures([heat_map([[1.0]], ["r"], ["c"], "t")] * 2, legend=[heat_map([[1.0]], ["r"], ["c"], "t")])
        + gallery({HOSTILE: [("a", picture), (HOSTILE, picture)], "second": [("a", picture)]}, HOSTILE)
        + definitions({HOSTILE: HOSTILE, "": ""})
        + code(HOSTILE)
        + note(HOSTILE)
    )


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_is_well_formed_and_hostile_text_stays_text(language: str) -> None:
    html = page(HOSTILE, [Section(HOSTILE, body()), Section("b", Markup()), Section("c", Markup())], language, HOSTILE)
    root = parse(html)
    assert not [e for e in root.iter() if e.tag.endswith("script")]
    assert root.findtext("head/title") == HOSTILE
    assert [a.attrib["href"] for a in root.iter("a")] == ["#part-1", "#part-2", "#part-3"]
    assert [s.attrib["id"] for s in root.iter("section")] == ["part-1", "part-2", "part-3"]


def test_empty_elements_are_closed_as_html_wants_it() -> None:
    html = page("t", [Section("s", body())])
    without_svg = re.sub(r"<svg.*?</svg>", "", html, flags=re.DOTALL)
    assert set(re.findall(r"<(\w+)[^>]*/>", without_svg)) <= {"meta", "img"}


def test_nothing_is_loaded_and_nothing_runs() -> None:
    html = page("t", [Section("s", body())])
    policy = next(m for m in parse(html).iter("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy.attrib["content"]
    assert "script-src" not in policy.attrib["content"]
    assert not re.search(r"""(?:src|href|url\()\s*=?\s*["'(]?\s*(?:https?:)?//""", html)
    assert all(image.attrib["src"].startswith("data:image/png;base64,") for image in parse(html).iter("img"))
    assert not re.search(r"\son\w+=", re.sub(r">[^<]*<", "><", html))


def test_numbers_stand_to_the_right_and_names_to_the_left() -> None:
    root = ElementTree.fromstring(f"<div>{table(['name', 'score'], [['si', 0.5]])}</div>")
    assert [cell.get("class") for cell in root.iter("td")] == [None, "number"]


def test_a_gallery_has_a_cell_for_every_label() -> None:
    picture = png(np.zeros((3, 4), np.uint8))
    root = ElementTree.fromstring(gallery({"one": [("a", picture), ("b", picture)], "two": [("b", picture)]}))
    rows = [[len(cell.findall("img")) for cell in row.findall("td")] for row in root.iter("tr")]
    assert rows == [[], [1, 1], [0, 1]]


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ValueError, match="language"):
        page("t", [], "xx")

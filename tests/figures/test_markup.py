from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwise.figures.markup import Markup, coordinate, escape, join, tag
from seamwise.figures.typeset import MISSING, number, shorten, text_width, tick_label


@given(st.text(st.characters(exclude_characters="\r")))
def test_any_text_survives_as_text_and_as_attribute(text: str) -> None:
    element = ElementTree.fromstring(tag("text", text, title=text))
    forbidden = [c for c in text if (ord(c) < 32 and c not in "\t\n") or ord(c) in (0xFFFE, 0xFFFF)]
    expected = "".join("\ufffd" if c in forbidden or 0xD800 <= ord(c) < 0xE000 else c for c in text)
    assert (element.text or "") == expected
    # Parsers turn tabs and line ends within attributes into spaces.
    assert element.attrib["title"] == expected.replace("\t", " ").replace("\n", " ")


def test_only_markup_passes_unescaped() -> None:
    assert tag("g", Markup("<b/>"), "<b/>") == "<g><b/>&lt;b/&gt;</g>"
    assert escape(escape("&")) == "&amp;"
    assert join(["<", Markup("<")]) == "&lt;<"


def test_attributes_lose_underscores_and_none() -> None:
    assert tag("p", "", class_="a", stroke_width=1.50001, x=None) == '<p class="a" stroke-width="1.5"></p>'
    assert tag("meta", name="viewport") == '<meta name="viewport"/>'


def test_coordinates_are_short_and_finite() -> None:
    assert [coordinate(v) for v in (1.0, -0.001, 12.345, 100.0)] == ["1", "0", "12.35", "100"]
    with pytest.raises(ValueError, match="finite"):
        coordinate(float("nan"))


def test_numbers_for_readers() -> None:
    assert number(None) == number(float("nan")) == MISSING
    assert number(-0.25, ".2f") == "\u22120.25"
    assert number(-0.0001, ".2f") == "0.00"
    assert number(float("-inf")) == "\u2212\u221e"
    assert [tick_label(v, 0.25) for v in (0.0, 0.5, -0.25)] == ["0", "0.50", "\u22120.25"]
    assert tick_label(2e7, 1e7) == "2\u00d710\u2077"


def test_shortened_text_fits_and_starts_alike() -> None:
    name = "girth weld, digital radiography, 焊缝射线"
    short = shorten(name, 100, 12)
    assert short.endswith("…")
    assert name.startswith(short[:-1])
    assert text_width(short, 12) <= 100
    assert shorten(name, 1000, 12) == name
    assert text_width("焊缝", 12) == 24

"""Every chart: well-formed, named, with its numbers, and calm in the face of odd input."""

import itertools
import math
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

from seamwise.figures.bars import bars
from seamwise.figures.grid import grid
from seamwise.figures.heatmap import heat_map
from seamwise.figures.lines import lines
from seamwise.figures.placing import Box, place_labels
from seamwise.figures.scatter import scatter
from seamwise.figures.svg import legend_entries

NS = "{http://www.w3.org/2000/svg}"
HOSTILE = "</svg><script>alert('x')</script> & \"quoted\" 焊缝\x00\ud800"
NAN, INF = math.nan, math.inf


def parse(svg: str) -> ElementTree.Element:
    root = ElementTree.fromstring(svg)
    assert root.tag == NS + "svg"
    assert root.find(NS + "title") is not None
    assert all(element.tag != NS + "script" for element in root.iter())
    for match in re.findall(r'(?:points|d|x|y|cx|cy|width|height)="([^"]*)"', svg):
        assert "nan" not in match
        assert "inf" not in match
    return root


def texts(svg: str) -> list[str]:
    return [(element.text or "") + "".join(c.tail or "" for c in element) for element in parse(svg).iter(NS + "text")]


CHARTS: dict[str, Callable[[str, Any], str]] = {
    "lines": lambda name, v: lines({name: [(v, v, v), (1, v, None)]}, name, name, name, references={name: v}),
    "log lines": lambda name, v: lines({name: [(v, 1.0, v)]}, name, name, name, log_x=True, errors="bars"),
    "scatter": lambda name, v: scatter({name: [(v, v, v, v)], name + "2": [(v, 1.0)]}, name, name, name),
    "bars": lambda name, v: bars([name, name], {name: [v, (v, v)], name + "2": [(1.0, v)]}, name, name),
    "heat map": lambda name, v: heat_map([[v, 1.0], [v]], [name, name], [name, name], name, row_label=name),
}


@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, NAN, INF, -INF, 1e308, -1e308, 5e-324, 1e15])
def test_odd_values_still_make_a_figure(chart: str, value: float) -> None:
    parse(CHARTS[chart]("name", value))


@pytest.mark.parametrize("chart", [name for name in CHARTS if name != "log lines"])
def test_missing_values_still_make_a_figure(chart: str) -> None:
    if chart == "lines":
        parse(lines({"a": [(1, None, None), (2, 0.5, None), (3, NAN, 0.1), (4, 0.4, None)]}, "t", "x", "y"))
    else:
        parse(CHARTS[chart]("name", None))


@pytest.mark.parametrize("chart", CHARTS)
def test_hostile_names_stay_text(chart: str) -> None:
    root = parse(CHARTS[chart](HOSTILE, 0.5))
    title = root.find(NS + "title")
    assert title is not None
    assert title.text is not None
    assert title.text.startswith("</svg><script>alert('x')</script> & \"quoted\" 焊缝")


@pytest.mark.parametrize(
    "svg",
    [
        lines({}, "", "", ""),
        lines({"a": []}, "t", "x", "y", log_x=True),
        scatter({}, "t", "x", "y"),
        scatter({"a": []}, "t", "x", "y"),
        bars([], {}, "t", "y"),
        bars(["a"], {"s": []}, "t", "y"),
        heat_map([], [], [], "t"),
        heat_map([], ["a"], ["b"], "t", key=False),
        grid([]),
    ],
)
def test_empty_charts_are_figures_too(svg: str) -> None:
    parse(svg)


def test_a_gap_breaks_the_line() -> None:
    def count(middle: float | None) -> int:
        points = [(1.0, 0.1, None), (2.0, 0.2, None), (3.0, middle, None), (4.0, 0.4, None), (5.0, 0.5, None)]
        return len(list(parse(lines({"a": points}, "t", "x", "y")).iter(NS + "polyline")))

    assert (count(0.3), count(None), count(NAN)) == (1, 2, 2)


def test_a_line_goes_where_its_numbers_say() -> None:
    root = parse(lines({"a": [(0, 0.0, None), (1, 0.5, None), (2, 1.0, None)]}, "t", "x", "y", legend=False))
    line = root.find(NS + "polyline")
    assert line is not None
    points = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
    assert points[1][0] - points[0][0] == pytest.approx(points[2][0] - points[1][0], abs=0.05)
    assert points[0][1] - points[1][1] == pytest.approx(points[1][1] - points[2][1], abs=0.05)
    assert points[0][1] > points[2][1]


def test_a_line_is_cut_where_the_axis_ends() -> None:
    points = [(0, 0.5, None), (1, 0.9, None), (2, 0.1, None), (3, 1.3, None), (4, 1.2, None)]
    root = parse(lines({"a": points}, "t", "x", "y", y_range=(0.3, 1.0), references={"b": 0.2, "c": 0.4}, legend=False))
    drawn = [
        [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
        for line in root.iter(NS + "polyline")
    ]
    right = drawn[0][1][0] - drawn[0][0][0]
    across = [[(at - drawn[0][0][0]) / right for at, _ in stretch] for stretch in drawn]
    assert across == [pytest.approx([0, 1, 1.75], abs=0.01), pytest.approx([2 + 1 / 6, 2.75], abs=0.01)]
    assert len(list(root.iter(NS + "circle"))) == 2, "points beyond the axis are not drawn at its end"
    assert drawn[0][-1][1] == pytest.approx(drawn[1][0][1])


@pytest.mark.parametrize(("errors", "shape"), [("band", "polygon"), ("bars", "path")])
def test_errors_are_drawn_only_where_given(errors: str, shape: str) -> None:
    def shapes(error: float | None) -> int:
        svg = lines({"a": [(0, 0.2, error), (1, 0.3, error)]}, "t", "x", "y", errors=errors, legend=False)
        return len(list(parse(svg).iter(NS + shape)))

    assert shapes(0.1) > 0 == shapes(None)
    with pytest.raises(ValueError, match="band"):
        lines({}, "t", "x", "y", errors="none")


def test_very_long_series_are_thinned_but_keep_their_extremes() -> None:
    points = [(float(k), math.sin(k / 1000), None) for k in range(30_000)]
    points[15_000] = (15_000.0, 9.0, None)
    svg = lines({"a": points}, "t", "x", "y", y_range=(-1, 9))
    line = parse(svg).find(NS + "polyline")
    assert line is not None
    heights = [float(pair.split(",")[1]) for pair in line.attrib["points"].split()]
    assert len(heights) < 4000
    assert sum(height == min(heights) for height in heights) == 1
    assert len(svg) < 100_000


def test_the_heat_map_writes_every_number_and_marks_the_diagonal() -> None:
    svg = heat_map([[0.81, 0.12], [0.4, 0.77]], ["one", "two"], ["A", "B"], "R", diagonal=True)
    shown = texts(svg)
    assert {"0.81", "0.12", "0.40", "0.77", "one", "two", "A", "B"} <= set(shown)
    outlined = [r for r in parse(svg).iter(NS + "rect") if r.get("fill") == "none"]
    assert len(outlined) == 2


def test_empty_cells_have_no_number_and_values_beyond_the_colours_keep_theirs() -> None:
    shown = texts(heat_map([[None, NAN, 7.5, -2.0]], ["r"], ["a", "b", "c", "d"], "t", key=False))
    assert shown == ["t", "r", "a", "b", "c", "d", "7.50", "\u22122.00"]


def test_a_huge_matrix_is_averaged_in_blocks() -> None:
    names = [str(k) for k in range(400)]
    svg = heat_map([[1.0 if r < 200 else None for _ in names] for r in range(400)], names, names, "t")
    assert len(list(parse(svg).iter(NS + "rect"))) <= 120 * 120 + 25
    assert len(svg) < 4_000_000


def test_bars_start_at_zero_and_write_their_values() -> None:
    svg = bars(["g"], {"up": [0.5], "down": [(-0.25, 0.1)]}, "t", "y")
    assert {"0.50", "\u22120.25"} <= set(texts(svg))
    boxes = [r for r in parse(svg).iter(NS + "rect") if r.get("rx") is None]
    up, down = ({key: float(box.attrib[key]) for key in ("y", "height")} for box in boxes)
    assert up["y"] + up["height"] == pytest.approx(down["y"], abs=0.02)
    assert up["height"] == pytest.approx(2 * down["height"], abs=0.05)


def test_labels_meet_neither_each_other_nor_points_nor_the_edge() -> None:
    anchors = {f"strategy {k}": (200 + 31.0 * (k % 5), 150 + 19.0 * (k // 5)) for k in range(12)}
    marks = [Box(x - 5, y - 5, x + 5, y + 5) for x, y in anchors.values()]
    bounds = Box(40, 40, 560, 400)
    placed = place_labels(anchors, marks, [], bounds, 12)
    assert len(placed) == 12
    boxes = [spot.box for spot in placed.values()]
    assert not any(a.meets(b) for a, b in itertools.combinations(boxes, 2))
    assert not any(box.meets(mark) for box in boxes for mark in marks)
    assert all(box.inside(bounds) for box in boxes)


def test_names_without_a_place_go_into_the_legend() -> None:
    crowd = {f"strategy {k}": [(0.5, 0.5)] for k in range(70)}
    shown = texts(scatter(crowd, "t", "x", "y"))
    assert set(crowd) <= set(shown)
    beside = scatter({"si": [(0.5, 0.5)]}, "t", "x", "y")
    assert texts(beside).count("si") == 1


def test_series_keep_their_colour_between_charts() -> None:
    order = ["a", "b", "c"]
    one = lines({"c": [(0, 1, None)]}, "t", "x", "y", order=order, legend=False)
    key = legend_entries(["c"], order)[0]
    colour = next(parse(one).iter(NS + "polyline")).get("stroke")
    assert colour == next(parse(key).iter(NS + "line")).get("stroke")
    assert colour != next(parse(lines({"c": [(0, 1, None)]}, "t", "x", "y", legend=False)).iter(NS + "polyline")).get(
        "stroke"
    )


def test_a_grid_holds_its_figures_without_overlap() -> None:
    parts = [heat_map([[0.5]], ["r"], ["c"], f"figure {k}") for k in range(5)]
    root = parse(grid(parts, "all", columns=2))
    cells = [
        Box(x, y, x + float(svg.attrib["width"]), y + float(svg.attrib["height"]))
        for svg in root.findall(NS + "svg")
        for x, y in [(float(svg.attrib["x"]), float(svg.attrib["y"]))]
    ]
    assert len(cells) == 5
    assert not any(a.meets(b) for a, b in itertools.combinations(cells, 2))
    whole = Box(0, 0, float(root.attrib["width"]), float(root.attrib["height"]))
    assert all(cell.inside(whole) for cell in cells)
    with pytest.raises(ValueError, match="viewBox"):
        grid(["<svg/>"])

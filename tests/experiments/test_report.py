import json
import math
import re
import string
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from seamwise.errors import BadInputError, UsageError
from seamwise.experiments.groups import gather
from seamwise.experiments.report import megabytes, plus_minus, report, seconds
from seamwise.experiments.words import WORDS
from seamwise.figures.overlay import png


def result() -> dict[str, Any]:
    def run(strategy: str, seed: int, R: list[list[float | None]], **parameters: Any) -> dict[str, Any]:
        return {
            "strategy": strategy,
            "seed": seed,
            "parameters": {"epochs": 3, "seed": seed, **parameters},
            "R": R,
            "seconds": 20.0 + seed,
            "peak_memory_mb": 800.0,
        }

    return {
        "name": "steel to polyethylene",
        "command": "seamwise compare --seeds 2",
        "versions": {"python": "3.11", "torch": "2.13"},
        "domains": ["steel", "polyethylene"],
        "runs": [
            run("finetuning", 0, [[0.8, 0.1], [0.2, 0.7]]),
            run("finetuning", 1, [[0.9, 0.1], [0.3, 0.8]]),
            run("si", 0, [[0.8, 0.1], [0.7, 0.6]], c=0.1),
            run("si", 1, [[0.8, 0.1], [0.7, 0.6]], c=0.1),
            run("joint", 0, [[0.85, 0.75]]),
        ],
    }


def rows(html: str) -> list[list[str]]:
    root = ElementTree.fromstring(html.partition("\n")[2])
    return [["".join(cell.itertext()) for cell in row] for row in root.iter("tr")]


def test_both_languages_have_the_same_words_with_the_same_gaps() -> None:
    assert WORDS["en"].keys() == WORDS["zh"].keys()
    for key, english in WORDS["en"].items():
        gaps = [
            {field for _, field, _, _ in string.Formatter().parse(text) if field}
            for text in (english, WORDS["zh"][key])
        ]
        assert gaps[0] == gaps[1], key
        assert WORDS["zh"][key].strip()


def test_every_word_is_used() -> None:
    full = result()
    full |= {"created": "2026-01-01", "machine": {"cpu": "2 cores"}, "metric": "mean IoU"}
    full["runs"][0]["scores"] = {"recall": [0.5, 0.6]}
    full["runs"][0]["parameters"]["note"] = "a"
    full["runs"][1]["parameters"]["note"] = "a"
    picture = png(np.zeros((3, 4), np.uint8))
    html = report(full, overlays={"si": {"weld 1": [("after 1", picture)]}})
    html += report({"domains": ["a"], "runs": []})
    bare = result() | {"runs": [result()["runs"][0] | {"parameters": {}}]}
    html += report(bare)
    for key, text in WORDS["en"].items():
        longest = max(re.split(r"{\w+}", text.replace("'", "&#39;")), key=len)
        assert longest in html, key


@pytest.mark.parametrize("language", ["en", "zh"])
def test_summary_shows_mean_and_deviation_over_seeds(language: str) -> None:
    found = rows(report(result(), language))
    # Final average of the seeds: .45 and .55; forgetting: .6 and .6; newest: .7 and .8.
    assert ["finetuning", "2", "0.500 ± 0.071", "0.600 ± 0.000", "0.750 ± 0.071", "20.5 ± 0.7 s", "800 ± 0 MB"] in found
    assert ["si", "2", "0.650 ± 0.000", "0.100 ± 0.000", "0.600 ± 0.000", "20.5 ± 0.7 s", "800 ± 0 MB"] in found
    assert ["joint", "1", "0.800", "–", "0.750", "20.0 s", "800 MB"] in found


def test_the_best_of_the_sequential_strategies_is_bold() -> None:
    root = ElementTree.fromstring(report(result()).partition("\n")[2])
    assert {element.text for element in root.iter("strong")} == {"0.650 ± 0.000", "0.100 ± 0.000", "0.750 ± 0.071"}


def test_recorded_figures_count_before_computed_ones() -> None:
    document = result()
    document["runs"] = [document["runs"][0] | {"average": 0.123, "forgetting": math.nan}]
    row = next(row for row in rows(report(document)) if row[0] == "finetuning")
    assert row[2:4] == ["0.123", "0.600"]


def test_the_mean_r_matrix_is_drawn() -> None:
    html = report(result())
    cells = re.findall(r">(0\.\d\d)</text>", html)
    for value in ("0.85", "0.25", "0.75"):  # finetuning, averaged over its two seeds
        assert value in cells


def test_the_trade_off_is_old_at_the_end_against_new_when_new() -> None:
    run = gather(result())[0].runs[0]
    assert (run.old(), run.new()) == (0.2, pytest.approx(0.75))
    joint = gather(result())[2].runs[0]
    assert (joint.old(), joint.new()) == (0.85, pytest.approx(0.8))


def test_runs_of_one_strategy_with_other_parameters_are_not_mixed() -> None:
    document = result()
    document["runs"][3]["parameters"]["c"] = 1.0
    assert [group.label for group in gather(document)] == ["finetuning", "si (c=0.1)", "si (c=1.0)", "joint"]
    document["runs"][3]["parameters"] = dict(document["runs"][2]["parameters"])
    document["runs"][3]["R"] = [[0.5, 0.6]]
    labels = [group.label for group in gather(document)]
    assert len(set(labels)) == 4


def test_hostile_names_stay_text_and_nothing_is_loaded() -> None:
    bad = "<script>alert(1)</script>\" ' & 焊缝\x00"
    document = result()
    document |= {"name": bad, "command": bad, "domains": [bad, bad + "2"], "machine": bad, "metric": bad}
    document["versions"] = {bad: bad}
    for run in document["runs"]:
        run |= {"strategy": run["strategy"] + bad, "seed": bad, "parameters": {bad: bad}, "scores": {bad: [0.1, 0.2]}}
    overlays = {bad: {bad: [(bad, png(np.zeros((3, 4), np.uint8)))]}}
    for language in WORDS:
        html = report(document, language, overlays)
        root = ElementTree.fromstring(html.partition("\n")[2])
        assert not [element for element in root.iter() if str(element.tag).endswith("script")]
        assert not re.search(r"""(?:src|href|url\()\s*=?\s*["'(]?\s*(?:https?:)?//""", html)


def test_optional_fields_may_be_missing() -> None:
    bare = {"domains": ["a", "b"], "runs": [{"R": [[0.5, None], [math.nan, 0.4]]}]}
    html = report(json.loads(json.dumps(bare)))
    assert WORDS["en"]["command"] not in re.findall(r"<h3>(.*?)</h3>", html)
    assert WORDS["en"]["time"] not in rows(html)[0]
    assert "nan" not in re.sub(r"data:[^\"]*", "", html)
    assert WORDS["en"]["no_runs"] in report({})
    ElementTree.fromstring(report({}, "zh").partition("\n")[2])


@pytest.mark.parametrize("R", [[[0.5]], [[0.5, None], [None, None]], [[None, None], [None, None]], [[0.3, 7.0]]])
def test_small_and_empty_matrices_make_a_report(R: list[list[float | None]]) -> None:
    document = {"domains": ["a", "b"][: len(R[0])], "runs": [{"strategy": "si", "R": R}]}
    ElementTree.fromstring(report(document).partition("\n")[2])


@pytest.mark.parametrize("R", [None, [], [[0.1]], [[0.1, 0.2], [0.3]], [[0.1, 0.2]] * 3, "R", [0.1, 0.2]])
def test_a_matrix_that_does_not_fit_is_named(R: object) -> None:
    with pytest.raises(BadInputError, match=r"run 0 \(si, seed 4\)"):
        report({"domains": ["a", "b"], "runs": [{"strategy": "si", "seed": 4, "R": R}]})


def test_further_scores_may_be_nested_either_way() -> None:
    document = result()
    nestings = [
        {"recall": [0.25, 0.75]},
        {"recall": {"steel": 0.25, "polyethylene": 0.75}},
        {"steel": {"recall": 0.25}, "polyethylene": {"recall": 0.75}},
    ]
    for scores in nestings:
        document["runs"] = [result()["runs"][0] | {"scores": scores}]
        assert ["finetuning", "0.250", "0.750", "0.500"] in rows(report(document))


def test_shared_parameters_are_told_once_and_own_ones_by_strategy() -> None:
    html = report(result())
    assert html.count("<dt>epochs</dt><dd>3</dd>") == 1
    assert ["si", "c = 0.1"] in rows(html)
    assert "<dt>seed</dt>" not in html


def test_an_unknown_language_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="en, zh"):
        report(result(), "fr")


def test_amounts_in_the_unit_that_suits_them() -> None:
    assert plus_minus((-0.25, None)) == "\u22120.250"
    assert [seconds((t, None)) for t in (3.21, 599.0, 1200.0, 86_400.0)] == ["3.2 s", "599 s", "20.0 min", "24.0 h"]
    assert [megabytes((m, None)) for m in (812.4, 12_345.0)] == ["812 MB", "12.3 GB"]
    assert seconds((None, None)) == "–"

"""A domain's folder: what is read from it, and everything that can be wrong with it."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image as Pillow

from seamwise.errors import BadInputError
from seamwise.vision.domain import SPLITS, check_domain, read_domain, write_domain_yaml
from seamwise.vision.domain_split import side_of
from seamwise.vision.images import read_mask, write_image

COLUMNS = ["stem", "image", "mask", "split", "width", "height", "classes", "defect_fraction", "group", "source_file"]
LISTS = {"train": ["a", "b", "c"], "val": ["d"], "test": ["e"]}


def picture(folder, stem, ids=(0, 1), suffix="png", shape=(6, 8)):
    """One image and its mask, which shows the ids."""
    mask = np.zeros(shape, np.uint8)
    mask.ravel()[: len(ids)] = ids
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "masks").mkdir(exist_ok=True)
    Pillow.fromarray(np.full(shape, 100, np.uint8)).save(folder / "images" / f"{stem}.{suffix}")
    Pillow.fromarray(mask).save(folder / "masks" / f"{stem}.png")


def lists(folder, **stems):
    for split, names in stems.items():
        (folder / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))


def index(folder, rows, columns=COLUMNS):
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "steel"
    for stem in "abcde":
        picture(root, stem)
    lists(root, **LISTS)
    return root


def refused(folder, says):
    with pytest.raises(BadInputError, match=says) as caught:
        read_domain(folder)
    assert str(folder) in str(caught.value)


# --- what is read


def test_a_plain_folder(folder):
    domain = read_domain(folder)
    assert (domain.name, domain.root, domain.modality) == ("steel", folder, "unknown")
    assert domain.classes == ("background", "defect")
    assert (domain.ignore, domain.pitch_mm, domain.warnings) == (None, None, ())
    assert {split: [each.stem for each in domain.samples[split]] for split in SPLITS} == LISTS
    first = domain.samples["train"][0]
    assert (first.image, first.mask) == (folder / "images" / "a.png", folder / "masks" / "a.png")
    assert first.group == "a"
    assert check_domain(domain) == []


def test_the_order_of_a_list_is_kept_and_blank_lines_marks_and_carriage_returns_are_not_stems(folder):
    (folder / "train.txt").write_bytes(b"\xef\xbb\xbfc\r\n\r\n  a \r\nb")
    assert [each.stem for each in read_domain(folder).samples["train"]] == ["c", "a", "b"]


def test_domain_yaml_goes_before_the_folder_and_an_argument_before_both(folder):
    write_domain_yaml(
        folder,
        name="Stahl ü",
        modality="radiography",
        classes=["background", "Riß", "未熔合"],
        ignore=255,
        pitch_mm=0.05,
    )
    domain = read_domain(folder)
    assert (domain.name, domain.modality) == ("Stahl ü", "radiography")
    assert domain.classes == ("background", "Riß", "未熔合")
    assert (domain.ignore, domain.pitch_mm) == (255, 0.05)
    assert read_domain(folder, name="mine").name == "mine"


def test_the_folders_name_is_its_real_one(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert read_domain(".").name == "steel"
    assert read_domain(str(folder)).root == folder


def test_groups_come_from_the_index_and_an_empty_one_is_the_stem(folder):
    index(folder, [{"stem": "a", "group": "w1", "classes": "1"}, {"stem": "b", "group": "w1"}, {"stem": "c"}])
    assert [each.group for each in read_domain(folder).samples["train"]] == ["w1", "w1", "c"]


def test_classes_go_up_to_the_highest_id_in_the_index_without_opening_masks(folder):
    index(folder, [{"stem": "a", "classes": "0 1"}, {"stem": "b", "classes": "3"}, {"stem": "c"}])
    for mask in (folder / "masks").iterdir():
        mask.write_bytes(b"not opened")
    assert read_domain(folder).classes == ("background", "class 1", "class 2", "class 3")


@pytest.mark.parametrize("columns", [None, ["stem", "group"]])
def test_classes_go_up_to_the_highest_id_in_the_masks(folder, columns):
    if columns:
        index(folder, [{"stem": stem} for stem in "abcde"], columns)
    picture(folder, "d", ids=(0, 2, 4))
    assert read_domain(folder).classes == ("background", "class 1", "class 2", "class 3", "class 4")


def test_masks_without_any_defect_still_make_two_classes(folder):
    for stem in "abcde":
        picture(folder, stem, ids=(0,))
    assert read_domain(folder).classes == ("background", "defect")


def test_formats_may_be_mixed_and_other_files_are_left_alone(folder):
    (folder / "images" / "a.png").unlink()
    picture(folder, "a", suffix="jpg")
    (folder / "images" / "b.png").unlink()
    picture(folder, "b", suffix="tif")
    for name in ("Thumbs.db", "._a.png", "notes.txt"):
        (folder / "images" / name).write_bytes(b"x")
    (folder / "images" / "deeper.png").mkdir()
    domain = read_domain(folder)
    assert [each.image.name for each in domain.samples["train"]] == ["a.jpg", "b.tif", "c.png"]
    assert domain.warnings == ()
    assert check_domain(domain) == []


# --- warnings


@pytest.mark.parametrize("empty", [False, True])
def test_no_validation_is_a_warning(folder, empty):
    shutil.move(folder / "val.txt", folder / "unused")
    if empty:
        (folder / "val.txt").write_text("\n")
    (folder / "train.txt").write_text("a\nb\nc\nd\n")
    domain = read_domain(folder)
    assert domain.samples["val"] == ()
    assert len(domain.warnings) == 1
    assert "no pictures for validation" in domain.warnings[0]


def test_images_in_no_list_and_masks_without_image_are_warnings(folder):
    for stem in "pqrstuv":
        picture(folder, stem)
    (folder / "images" / "v.png").unlink()
    assert read_domain(folder).warnings == (
        "images in no list (6): p, q, r, s, t, ...",
        "masks without an image (1): v",
    )


# --- the split by hash


def crowd(root, numbers, per_weld=2):
    for number in numbers:
        for side in range(per_weld):
            picture(root, f"{number:02d}_{side}", shape=(2, 2))
    rows = [
        {"stem": f"{number:02d}_{side}", "group": f"weld {number}", "classes": "1"}
        for number in numbers
        for side in range(per_weld)
    ]
    index(root, rows)


def test_without_lists_whole_welds_are_split_by_hash_and_more_pictures_move_none(tmp_path):
    crowd(tmp_path, range(20))
    before = read_domain(tmp_path)
    sides = {each.stem: split for split in SPLITS for each in before.samples[split]}
    assert len(sides) == 40
    assert all(before.samples[split] for split in SPLITS)
    assert all(sides[f"{number:02d}_0"] == sides[f"{number:02d}_1"] for number in range(20))
    assert "split by a hash of each weld's name" in before.warnings[0]
    crowd(tmp_path, range(40), per_weld=3)
    after = {each.stem: split for split, all_of in read_domain(tmp_path).samples.items() for each in all_of}
    assert len(after) == 120
    assert sides.items() <= after.items()
    assert all(after[f"{number:02d}_2"] == sides[f"{number:02d}_0"] for number in range(20))


def test_the_hash_is_fixed_for_good():
    # The first 16 digits of sha256sum over 16**16: .153 .377 .680 .710 .802 .875 .986. These sides must never change:
    # a test picture would turn up in training.
    names = ("weld 1", "ü", "weld 22", "weld 5", "weld 30", "film_01", "weld 13")
    assert [side_of(name) for name in names] == ["train", "train", "train", "val", "val", "test", "test"]
    counts = [sum(side_of(f"weld {number}") == split for number in range(4000)) / 4000 for split in SPLITS]
    np.testing.assert_allclose(counts, [0.70, 0.15, 0.15], atol=0.02)


def test_without_lists_images_without_a_mask_are_left_out(tmp_path):
    crowd(tmp_path, range(20))
    (tmp_path / "masks" / "03_1.png").unlink()
    domain = read_domain(tmp_path)
    assert sum(len(domain.samples[split]) for split in SPLITS) == 39
    assert "images without a mask, left out (1): 03_1" in domain.warnings


def test_without_lists_too_few_welds_leave_a_side_empty(tmp_path):
    picture(tmp_path, "a")
    refused(tmp_path, "no pictures for (train|test)")


# --- what is refused


def test_missing_folders_pictures_and_masks(tmp_path, folder):
    refused(tmp_path / "none", "there is no such folder; a domain is")
    shutil.rmtree(folder / "masks")
    refused(folder, "a domain without masks; put one mask for each picture")
    (folder / "masks").mkdir()
    refused(folder, "a domain without masks; put one mask for each picture")
    for path in (folder / "images").iterdir():
        path.unlink()
    refused(folder, r"images: no pictures \(.png")
    (folder / "images").rmdir()
    refused(folder, "images: there is no such folder")


def test_a_folder_that_may_not_be_read(folder, monkeypatch):
    def fail(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", fail)
    refused(folder, "cannot be read .*Permission denied.*; check its permissions")


def test_two_files_of_one_stem(folder):
    picture(folder, "a", suffix="jpg")
    refused(folder, r"images/a\.png: a\.jpg has the same stem; remove or rename")
    (folder / "images" / "a.jpg").unlink()
    shutil.copy(folder / "masks" / "a.png", folder / "masks" / "a.TIF")
    refused(folder, r"masks/a\.png: a\.TIF has the same stem")


def test_a_jpeg_mask(folder):
    (folder / "masks" / "a.png").rename(folder / "masks" / "a.jpg")
    refused(folder, r"masks/a\.jpg: JPEG blurs class ids; save the mask as PNG")


def test_a_stem_without_image_or_mask(folder):
    (folder / "images" / "d.png").unlink()
    refused(folder, r"val\.txt, line 1: there is no image 'd' in images/; add the image or remove the line")
    picture(folder, "d")
    (folder / "masks" / "b.png").unlink()
    refused(folder, r"train\.txt, line 2: there is no mask 'b' in masks/; add it \(all 0 if free of defects\)")


def test_a_stem_with_its_ending(folder):
    lists(folder, train=["a", "", "b.png"])
    refused(folder, r"train\.txt, line 3: there is no image 'b\.png' in images/; write it without its ending")


@pytest.mark.parametrize("stem", ["../images/a", "/etc/passwd", "..", ".", "x/a", "x\\a", "C:\\a"])
def test_a_path_in_a_list(folder, stem):
    lists(folder, train=["a", stem])
    refused(folder, r"train\.txt, line 2: .* is a path; write the name alone")


def test_a_stem_listed_twice(folder):
    lists(folder, train=["a", "b", "a"])
    refused(folder, r"train\.txt, line 3: 'a' is listed already in .*train\.txt, line 1; remove one")
    lists(folder, train=["a", "b"], test=["e", "a"])
    refused(folder, r"test\.txt, line 2: 'a' is listed already in .*train\.txt, line 1; remove one")


def test_a_weld_on_two_sides(folder):
    index(folder, [{"stem": "b", "group": "w1", "classes": "1"}, {"stem": "e", "group": "w1"}])
    refused(folder, r"test\.txt, line 1: 'e' shows 'w1' like 'b', which is in train\.txt; list all pictures of one")


@pytest.mark.parametrize("split", ["train", "test"])
def test_no_training_or_no_test_pictures(folder, split):
    lists(folder, **{split: []})
    refused(folder, rf"{split}\.txt: no pictures for {split}; list stems there")
    (folder / f"{split}.txt").unlink()
    refused(folder, rf"{split}\.txt: no pictures for {split}; list stems there")


def test_a_list_that_is_no_text(folder):
    (folder / "val.txt").write_bytes(b"\xff\xfe\x00d")
    refused(folder, r"val\.txt: it is not UTF-8 text; save it as UTF-8")
    (folder / "val.txt").unlink()
    (folder / "val.txt").mkdir()
    refused(folder, r"val\.txt: cannot be read")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,group\na,w1\n", "no column `stem` in the first line"),
        ("", "no column `stem` in the first line"),
        ("stem,classes\na,1\na,2\n", "line 3: stem 'a' has a line already"),
        ("stem,classes\n,1\n", "line 2: the stem is empty"),
        ("stem,classes\na,1\nb,crack\n", "line 3: 'crack' in column `classes` is not a class id"),
        ("stem,classes\na,-1\n", "line 2: '-1' in column `classes` is not a class id"),
        ("stem,classes\na,256\n", "line 2: '256' in column `classes` is not a class id"),
        (
            "stem,classes\na,0 255\n",
            "a mask has the value 255; number the classes 0, 1, ..., or name the classes and say",
        ),
        (f"stem,classes\na,{'1 ' * 70000}\n", "field larger than field limit"),
    ],
)
def test_a_wrong_index(folder, text, says):
    (folder / "index.csv").write_text(text)
    refused(folder, rf"index\.csv.*{says}")


def test_masks_that_go_up_to_255(folder):
    picture(folder, "c", ids=(0, 255))
    refused(folder, r"masks/c\.png: a mask has the value 255; number the classes 0, 1, \.\.\., or name the classes")
    write_domain_yaml(folder, name="x", modality="y", classes=["background", "defect"], ignore=255)
    assert check_domain(read_domain(folder)) == []


GOOD = "classes: [background, crack]\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD + "pitch: 0.05", r"there is no field `pitch`; did you mean `pitch_mm`\?"),
        (GOOD + "clases: 1", r"there is no field `clases`; did you mean `classes`\?"),
        (GOOD + "zzz: 1", "there is no field `zzz`; the fields are classes, name, modality, ignore, pitch_mm"),
        (GOOD + "1: 1", "there is no field `1`"),
        ("name: x", "`classes` is missing"),
        ("", "it must hold fields"),
        ("- a", "it must hold fields"),
        ("a: [", ", line 1: it is not valid YAML"),
        ("a: b: c", ", line 1: it is not valid YAML"),
        ("[" * 1000, "it is not valid YAML"),
        ("a: !!python/object:os.system {}", "it is not valid YAML"),
        (GOOD + "name: 2024-99-99", "it is not valid YAML .month must be in 1..12"),
        (GOOD + "name: 12", "`name` is 12; write a name, in quotes"),
        (GOOD + "name: ' '", "`name` is ' '; write a name"),
        (GOOD + "modality: [x]", r"`modality` is \['x'\]; write a name"),
        ("classes: background", "`classes` must list 2 to 255 names"),
        ("classes: [background]", "`classes` must list 2 to 255 names"),
        ("classes: [background, no]", "`classes` number 1 is False, not a name; write one, in quotes"),
        ("classes: [background, '']", "`classes` number 1 is '', not a name"),
        ("classes: [background, crack, crack]", "`classes` has 'crack' twice"),
        (GOOD + "ignore: 256", "`ignore` is 256; write a mask value from 2 to 255"),
        (GOOD + "ignore: yes", "`ignore` is True; write a mask value"),
        (GOOD + "ignore: 1", "`ignore` 1 is class 'crack'; choose 2 to 255"),
        (GOOD + "pitch_mm: 0", "`pitch_mm` is 0; write a pixel's size in millimetres"),
        (GOOD + "pitch_mm: .nan", "`pitch_mm` is nan; write a pixel's size"),
        (GOOD + "pitch_mm: 50 um", "`pitch_mm` is '50 um'; write a pixel's size"),
        (GOOD + "pitch_mm: true", "`pitch_mm` is True; write a pixel's size"),
    ],
)
def test_domain_yaml_is_read_strictly(folder, text, says):
    (folder / "domain.yaml").write_text(text)
    refused(folder, rf"domain\.yaml.*{says}")


def test_write_domain_yaml_checks_what_it_writes(tmp_path):
    with pytest.raises(BadInputError, match="`classes` has 'a' twice"):
        write_domain_yaml(tmp_path, name="x", modality="y", classes=["a", "a"])
    assert list(tmp_path.iterdir()) == []
    path = write_domain_yaml(tmp_path, name="x", modality="y", classes=("a", "b"))
    assert yaml.safe_load(path.read_text()) == {"name": "x", "modality": "y", "classes": ["a", "b"]}


# --- checking every file


def test_check_domain_tells_every_problem_at_once(folder):
    (folder / "images" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    picture(folder, "b", ids=(0, 1, 7))
    write_image(folder / "masks" / "d.png", np.zeros((6, 9), np.uint8))
    write_image(folder / "images" / "e.png", np.zeros((6, 8, 3), np.uint8), pitch_mm=0.07)
    write_domain_yaml(folder, name="x", modality="y", classes=["background", "crack", "pore"], pitch_mm=0.05)
    problems = check_domain(read_domain(folder))
    expected = [
        "images/a.png: it is cut short",
        "masks/b.png: the mask has the values 7",
        "masks/d.png: the mask is 9 x 6 pixels but its image 8 x 6",
        "images/e.png: the file says 0.07 mm a pixel but domain.yaml 0.05 mm",
        "pictures with different numbers of channels: 1 in 3 (b, c, d); 3 in 1 (e)",
        "no mask of train shows class 2 (pore); move a picture of it to train.txt",
    ]
    assert len(problems) == len(expected)
    for problem, part in zip(problems, expected, strict=True):
        assert part in problem


# --- the development data, or a stand-in of the same layout

# name: (classes, pictures in train, val and test) as the data's own description gives them
SEVEN = {
    "weld_xray": (2, (5, 1, 2)),
    "weld_visual": (2, (194, 30, 42)),
    "weld_emt": (2, (10, 0, 5)),
    "casting_xray": (2, (25, 4, 7)),
    "neu_steel": (4, (693, 91, 190)),
    "magnetic_tile": (6, (269, 36, 78)),
    "road_crack_cfd": (2, (66, 10, 24)),
}


def stand_in(root):
    """The same seven folders, a twentieth as many tiny pictures: no domain.yaml, no val.txt where val is empty."""
    counts = {}
    for name, (classes, sizes) in SEVEN.items():
        counts[name] = tuple(-(-size // 20) for size in sizes)
        rows = []
        for split, count in zip(SPLITS, counts[name], strict=True):
            stems = [f"{split}_{number:03d}" for number in range(count)]
            for number, stem in enumerate(stems):
                last = (classes - 1,) if number % 2 == 0 else ()
                suffix = "png" if "xray" in name or "emt" in name else "jpg"
                ids = tuple(range(classes)) if (split, number) == ("train", 0) else last
                picture(root / name, stem, ids, suffix)
                paths = {"image": f"images/{stem}.{suffix}", "mask": f"masks/{stem}.png", "split": split}
                shown = " ".join(str(each) for each in ids if each)
                group = "" if name in ("weld_emt", "road_crack_cfd") else f"{split}_{number // 2}"
                rows.append({"stem": stem, **paths, "width": 8, "height": 6, "classes": shown, "group": group})
            if stems:
                lists(root / name, **{split: stems})
        index(root / name, rows)
    return counts


@pytest.mark.data
def test_all_seven_domains_of_the_development_data_or_of_a_stand_in(tmp_path, record_property):
    given = os.environ.get("SEAMWISE_TEST_DATA")
    record_property("ran on", given or "a stand-in made for this test")
    if given:
        root, counts = Path(given) / "segmentation", {name: sizes for name, (_, sizes) in SEVEN.items()}
    else:
        root, counts = tmp_path, stand_in(tmp_path)
    for name, (classes, _) in SEVEN.items():
        domain = read_domain(root / name)
        assert domain.name == name
        assert len(domain.classes) == classes
        assert tuple(len(domain.samples[split]) for split in SPLITS) == counts[name]
        assert len(domain.warnings) == (1 if name == "weld_emt" else 0)
        assert check_domain(domain) == []
        highest = max(read_mask(each.mask, classes).max() for each in domain.samples["train"])
        assert highest == classes - 1

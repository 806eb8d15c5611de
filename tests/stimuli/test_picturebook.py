"""The picture book: forty categories, the same bytes each time, splits that share nothing, figures that stand out."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from stimuli.picturebook import backgrounds, palettes
from stimuli.picturebook.book import CATEGORIES, SPLITS, render, render_with_figure

NAMES = [category.name for category in CATEGORIES]
LUMA = np.array([0.299, 0.587, 0.114]) / 255


def test_there_are_forty_categories_four_to_a_supercategory_and_half_of_them_animals() -> None:
    assert len(set(NAMES)) == 40
    assert [category.index for category in CATEGORIES] == list(range(40))
    assert sum(category.animal for category in CATEGORIES) == 20
    supercategories = [category.supercategory for category in CATEGORIES]
    assert all(supercategories.count(name) == 4 for name in set(supercategories))
    assert len(set(supercategories)) == 10


@pytest.mark.parametrize("split", SPLITS)
def test_no_palette_or_background_family_occurs_in_two_splits(split: str) -> None:
    others = [other for other in SPLITS if other != split]
    for families in (palettes.FAMILIES, backgrounds.FAMILIES):
        assert len(families[split]) >= 3
        assert all(set(families[split]).isdisjoint(families[other]) for other in others)
    swatches = {swatch for family in palettes.FAMILIES[split].values() for swatch in family.split()}
    patterns = set(backgrounds.FAMILIES[split].values())
    for other in others:
        assert swatches.isdisjoint(s for family in palettes.FAMILIES[other].values() for s in family.split())
        assert patterns.isdisjoint(backgrounds.FAMILIES[other].values())


@pytest.mark.parametrize("name", NAMES)
def test_every_category_renders_with_its_whole_figure_inside_the_picture(name: str) -> None:
    for split in SPLITS:
        picture, figure = render_with_figure(name, split, 0, 64)
        assert picture.shape == (64, 64, 3)
        assert picture.dtype == np.uint8
        # Drawn parts keep off the border, so nothing is cut off; and there is something to see.
        assert max(figure[0].max(), figure[-1].max(), figure[:, 0].max(), figure[:, -1].max()) < 255
        assert 0.04 < (figure > 127).mean() < 0.75


@examples(max_examples=12)
@given(st.sampled_from(NAMES), st.sampled_from(SPLITS), st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_same_arguments_give_the_same_bytes(name: str, split: str, index: int, seed: int) -> None:
    assert render(name, split, index, 48, seed).tobytes() == render(name, split, index, 48, seed).tobytes()


def test_any_other_argument_gives_another_picture() -> None:
    asked = [("cat", "train", 0, 0), ("cat", "train", 1, 0), ("cat", "test", 0, 0), ("cat", "train", 0, 1)]
    pictures = {render(name, split, index, 48, seed).tobytes() for name, split, index, seed in asked}
    assert len(pictures) == len(asked)


@pytest.mark.parametrize("size_px", [32, 128, 227, 300])
def test_a_picture_may_have_any_size(size_px: int) -> None:
    assert render("owl", "test", 3, size_px).shape == (size_px, size_px, 3)


def test_a_picture_is_the_same_drawing_at_every_size() -> None:
    large = Image.fromarray(render("turtle", "test", 1, 256)).resize((64, 64), Image.Resampling.BOX)
    small = render("turtle", "test", 1, 64)
    assert np.corrcoef(np.asarray(large, float).ravel(), small.ravel().astype(float))[0, 1] > 0.97


@pytest.mark.parametrize("name", NAMES)
def test_the_figure_stands_out_from_its_background(name: str) -> None:
    for split in SPLITS:
        for index in range(2):
            picture, figure = render_with_figure(name, split, index, 64)
            luma = picture @ LUMA
            around = Image.fromarray(figure).filter(ImageFilter.MaxFilter(9))
            ground = luma[np.asarray(around) == 0]
            level = np.median(ground if len(ground) else luma)
            # A surface like its ground would leave the eye only outlines to go by.
            assert np.abs(luma[figure > 200] - level).mean() > 0.08


def test_unknown_categories_and_splits_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'unicorn'.*elephant"):
        render("unicorn", "train", 0, 64)
    with pytest.raises(ValueError, match=r"'exam'.*validation"):
        render("cat", "exam", 0, 64)


def test_colour_and_pixels_do_not_give_the_category_away(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark in short: few pictures, the same classifiers, the same limits."""
    monkeypatch.syspath_prepend(project_root / "tests" / "benchmarks")
    benchmark = importlib.import_module("picturebook_is_not_colour")
    train, test = benchmark.pictures_of("train", 25), benchmark.pictures_of("test", 6)
    for name in ("pixels_16", "colour_histogram"):
        accuracy = benchmark.linear_accuracy(benchmark.FEATURES[name], *train, *test)
        assert accuracy <= benchmark.LIMITS[name], f"{name}: {accuracy:.2f}"

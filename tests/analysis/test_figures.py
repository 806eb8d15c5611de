"""What figures say in themselves: legends, scales, marks and verdicts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from analysis.behaviour_figures import images_figure, runs_figure
from analysis.inference_figures import correspondence_figure, models_figure
from analysis.pages.overview import bars_in_words
from analysis.pages.similarity import corrected_methods
from analysis.rdm_figures import rank_shares
from analysis.similarity_figures import layers_figure, rois_figure
from analysis.similarity_table import DifferenceRow, SimilarityRow, read_rows
from analysis.trend_figure import trends_figure, verdict
from protocols.problems import FoolscanError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict[str, str]


def words(figure: Figure) -> list[str]:
    """All text in the legends of a figure."""
    legends = [*figure.legends, *(found for axes in figure.axes if (found := axes.get_legend()))]
    return [text.get_text() for legend in legends for text in legend.get_texts()]


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") or axes.get_title() for axes in figure.axes]


def similarity_row(place: str, subject: str = "pooled", **more: float | str) -> SimilarityRow:
    values = {"similarity": 0.5, "ci_low": 0.4, "ci_high": 0.6, "ci_method": "jackknife", "n_features": 9} | more
    return SimilarityRow(pair="RE-AN", place=place, subject=subject, **values)  # type: ignore[arg-type]


def test_rings_and_bars_are_in_the_legend_and_a_lone_panel_has_no_letter() -> None:
    rows = [similarity_row(place, subject) for place in ("V1", "LO") for subject in ("pooled", "01")]
    figure = rois_figure(rows, "Brain", "95 % interval")
    assert words(figure) == ["all subjects, 95 % interval", "single subject"]
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["RE-AN"]
    assert words(layers_figure(rows, "Network", "95 % of resamples (biased, no interval)")) == [
        "all units, 95 % of resamples (biased, no interval)"
    ]
    without = [similarity_row(place, ci_low=math.nan, ci_high=math.nan) for place in ("V1", "LO")]
    assert words(rois_figure(without, "Brain", "95 % interval")) == ["all subjects"]


def test_bars_that_values_lie_outside_of_are_no_intervals() -> None:
    published = [similarity_row("V1", ci_method="published: percentile bootstrap", estimand="none: descriptive")]
    assert bars_in_words(published, "95 %") == "95 % of resamples (biased, no interval)"
    assert bars_in_words([similarity_row("V1", estimand="similarity at this noise")], "95 %") == "95 % interval"


def runs(name: str, accuracy: str, p_difference: str) -> list[Row]:
    shared = {"subject": "01", "set": name, "rt_median_s": "0.6", "missed": "1", "trials": "20"}
    return [shared | {"accuracy": accuracy, "p_difference": p_difference} for _ in range(3)]


def test_accuracy_and_the_difference_of_p_have_an_axis_each() -> None:
    figure = runs_figure([*runs("RE", "0.9", "0.8"), *runs("AN", "n/a", "0.1")])
    assert titles(figure) == ["accuracy", "P(animal) difference", "median reaction time (s)", "missed trials (%)"]
    (accuracy, apart, *_) = figure.axes
    drawn = [set(np.ravel(line.get_ydata())) for axes in (accuracy, apart) for line in axes.lines]
    assert {0.9} in drawn
    assert {0.8} not in drawn
    low, high = apart.get_ylim()
    assert low == -high
    assert len(runs_figure(runs("RE", "0.9", "0.8")).axes) == 3


def test_what_the_network_says_of_an_image_is_in_the_legend() -> None:
    image = {"set": "RE", "stim_id": "RE-owl", "p_animal": "0.9", "p_animal_low": "0.7", "p_animal_high": "1"}
    figure = images_figure([image | {"animal": "true", "network_animal": "true"}])
    assert "the network says animal" in words(figure)


def cells(similarity: str, p: str) -> list[Row]:
    places = [("conv1", "V1"), ("conv1", "LO")]
    return [
        {"set": "RE", "layer": layer, "roi": roi, "similarity": similarity, "p_corrected": p} for layer, roi in places
    ]


@pytest.mark.parametrize(("similarity", "p", "span", "sure"), [("0.07", "0.6", 0.2, 0), ("-0.5", "0.01", 0.5, 2)])
def test_small_similarities_look_small_and_sure_ones_are_outlined(
    similarity: str, p: str, span: float, sure: int
) -> None:
    figure = correspondence_figure(cells(similarity, p))
    axes = figure.axes[0]
    assert axes.images[0].get_clim() == (-span, span)
    assert len(axes.patches) == sure
    assert words(figure) == [f"p < 0.05, corrected over layers and ROIs ({sure} of 2 cells)"]


def test_models_stand_below_the_ceiling_of_their_set() -> None:
    rows = [
        {"model": "animacy", "set": "RE", "place": place, "similarity": "0.4", "p_corrected": "0.2"}
        for place in ("V1", "LO")
    ]
    ceilings = [{"set": "RE", "place": place, "lower": "0.6", "upper": "0.8"} for place in ("V1", "LO")]
    figure = models_figure(rows, ["V1", "LO"], ceilings)
    bands = [band.get_paths()[0].get_extents() for band in figure.axes[0].collections]
    assert [(round(band.y0, 3), round(band.y1, 3)) for band in bands] == [(0.6, 0.8), (0.6, 0.8)]
    assert words(figure) == ["RE", "p < 0.05, corrected", "p ≥ 0.05", "noise ceiling of the set"]
    assert words(models_figure(rows, ["V1", "LO"])) == ["RE", "p < 0.05, corrected", "p ≥ 0.05"]


def trend(along: str, tau: str, p: str) -> list[Row]:
    told = {"along": along, "series": "RE-AN", "tau_a": tau, "p": p, "rho": "-0.9", "p_rho": "0.08"}
    return [told | {"place": place, "value": "0.5"} for place in ("V1", "V2", "V3")]


def test_the_verdict_on_a_trend_is_in_its_panel() -> None:
    figure = trends_figure(
        [*trend("layers", "1", "0.0001"), *trend("ROIs", "-0.8", "0.083")], {"layers": "N", "ROIs": "B"}
    )
    assert titles(figure) == ["N", "B"]
    assert words(figure) == [
        "RE-AN: rises (τ 1.00, p < 0.001; ρ −0.90)",
        "RE-AN: no trend shown (τ −0.80, p 0.083; ρ −0.90)",
    ]
    assert verdict(trend("ROIs", "-1", "0.0167")[0] | {"rho": "n/a"}) == "falls (τ −1.00, p 0.017)"


def test_a_matrix_by_ranks_spans_all_colours_whatever_its_scale() -> None:
    values = np.array([0.701, 0.7, 0.702, 0.702])
    np.testing.assert_allclose(rank_shares(values), [1 / 3, 0, 5 / 6, 5 / 6])
    np.testing.assert_array_equal(rank_shares(values), rank_shares(1000 * values - 3))
    np.testing.assert_array_equal(rank_shares(np.full(5, 0.7)), np.full(5, 0.5))


def test_rows_are_named_only_where_corrected_intervals_were_made_in_several_ways() -> None:
    one = [similarity_row(place, corrected=0.5, corrected_method="jackknife") for place in ("V1", "V2")]
    assert corrected_methods(one) == ["jackknife"]
    other = similarity_row("LO", corrected=0.5, corrected_method="none: not positive")
    assert corrected_methods([*one, other]) == ["jackknife (V1 RE-AN, V2 RE-AN)", "none: not positive (LO RE-AN)"]


def test_tables_from_before_the_column_selection_are_read(tmp_path: Path) -> None:
    path = tmp_path / "difference_brain.tsv"
    names = ["contrast", "place", "subject", "difference", "ci_low", "ci_high", "ci_method", "estimand", "resampled"]
    row = ["RE-AI minus RE-AN", "V1", "pooled", "0.1", "0", "0.2", "jackknife", "", ""]
    path.write_text("\n".join("\t".join(line) for line in (names, row)) + "\n", encoding="utf-8")
    (found,) = read_rows(path, DifferenceRow)
    assert (found.difference, found.selection) == (0.1, "n/a")
    path.write_text("\n".join("\t".join(line[:-1]) for line in (names, row)) + "\n", encoding="utf-8")
    with pytest.raises(FoolscanError, match="other columns"):
        read_rows(path, DifferenceRow)

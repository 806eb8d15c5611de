"""Recognition of pairs of crops: people's gap, chance, the network's gap, pair by pair."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.crops.pair_figures import (
    chance_figure,
    chance_rows,
    largest,
    network_figure,
    pairs_figure,
    plates_figure,
)
from analysis.pages.blocks import Block, Section, Shown, Words, section
from analysis.pages.recognition_shown import (
    RATES,
    Recognition,
    all_rows,
    questions_of,
)
from protocols.crops import read_crops

GAP_WORDS = (
    "A gap is the share of people who recognise the crop that the network recognises, minus the share who recognise its twin, which the "
    "network does not. It is above 0 where people fail as the network does. Intervals of means take pairs and people as samples at once: "
    "other pairs, and other people."
)
CHANCE_WORDS = (
    "The absolute gap is above 0 even if both crops of every pair are recognised alike, as two groups of people never answer quite the "
    "same; it means nothing without what chance alone gives. The binomial chance takes answers as independent. In the other, people are "
    "dealt anew to the lists: it keeps that one person’s answers go together, and that one group may be better than the other."
)
SELECTION_WORDS = (
    "The two gaps are not to be compared in size. Pairs were chosen because the network’s answer flips between their members, so that its "
    "gap is inflated by the choice, and would be smaller in another network or at other windows (regression to the mean). People’s gap "
    "is not chosen on people’s answers."
)


def pair_sections(shown: Recognition) -> list[Section]:
    """Sections of pairs of crops."""
    gaps: list[Block | None] = [Words(GAP_WORDS)]
    chance: list[Block | None] = [Words(CHANCE_WORDS)]
    network: list[Block | None] = [Words(SELECTION_WORDS)]
    plates: list[Block | None] = []
    for place, (question, condition) in enumerate(questions_of(shown)):
        pairs = shown.rows("pairs", question=question, condition=condition)
        summary = shown.rows("summary", question=question, condition=condition, whom="counted")
        suffix = f"_{place + 1}" if place else ""
        if not any(row["gap"] != "n/a" for row in pairs):
            gaps.append(Words(f"Question {question}: no pair has answers to both its crops yet.", "warning"))
            continue
        of = f", question “{question}”" if len(questions_of(shown)) > 1 else ""
        gaps.append(
            shown.keep(
                f"recognition_pairs{suffix}",
                pairs_figure(pairs, summary),
                "pairs",
                pairs,
                f"What people recognise of both crops of a pair{of}",
                "Every pair, from the largest gap to the smallest; thin bars: Wilson’s intervals of these crops. Right: means over "
                "pairs, bars for other pairs and other people.",
                "Share recognised of both crops of every pair, in order of their gap, and the means",
            )
        )
        chance.append(_chance(shown, suffix, pairs, summary))
        network.append(
            shown.keep(
                f"recognition_network{suffix}",
                network_figure(pairs, summary),
                "pairs",
                pairs,
                f"People’s gap and the network’s{of}",
                "A dot is a pair; bars: Newcombe’s intervals of people’s gap. ρ: rank correlation over pairs with its interval; the chance "
                "in people’s gaps pulls it towards 0.",
                "People’s gap in recognition against the network’s gap in confidence, pair by pair",
                wide=False,
            )
        )
        plates += _plates(shown, suffix, pairs)
    summary = shown.rows("summary", whom="counted")
    means = [row for row in summary if row["measure"] in ("rate", "nothing", "gap", "mean_step")]
    gaps.append(shown.table("summary", "Means over pairs", means, columns=_asked(means)))
    absolute = [row for row in summary if row["measure"] == "abs_gap"]
    of_chance = {
        "question": "question", "value": "mean absolute gap", "chance": "by chance", "chance_low": "chance, interval", "p": "p",
        "p_method": "which chance",
    }  # fmt: skip
    chance.append(shown.table("summary", "The absolute gap and chance", absolute, columns=of_chance))
    beside = [
        row for row in shown.rows("summary") if row["measure"] in ("spearman", "pearson") or row["whom"] == "network"
    ]
    columns = {"measure": "measure", "of": "of", "value": "value", "ci_low": "interval", "n_units": "pairs"}
    network.append(shown.table("summary", "Beside the network", beside, columns=columns))
    every = [
        all_rows(shown, "pairs", "All pairs"),
        all_rows(shown, "crops", "All crops"),
    ]
    return [
        section("People’s gap", "gap", gaps),
        section("The absolute gap and chance", "chance", chance),
        section("Beside the network", "beside-network", network),
        section("Pair by pair", "pair-by-pair", [*plates, *every]),
    ]


def _chance(shown: Recognition, suffix: str, pairs: list[dict[str, str]], summary: list[dict[str, str]]) -> Shown:
    rows = chance_rows(pairs)
    meanings = {
        "gap": "Absolute gap, the middle of a step of one answer.",
        "pairs": "Pairs with such a gap.",
        "chance": "Pairs to be expected with such a gap if both crops are recognised at their pooled rate (two binomials, exact).",
    }
    source = shown.tables["pairs"]
    return shown.figures.keep(
        f"recognition_chance{suffix}", chance_figure(pairs, summary), "Absolute gaps of pairs, and what chance alone gives",
        list(meanings), rows, meanings, simulated=True, wide=True, title=f"Absolute gaps and chance{shown.who}.",
        caption="Left: how many pairs have which absolute gap, and how many would by chance. Right: the mean over pairs (line), and what "
        "chance gives for it (dot: mean; bar: the share of the intervals).",
        inputs=[source.path] if source else [],
    )  # fmt: skip


def _plates(shown: Recognition, suffix: str, pairs: list[dict[str, str]]) -> list[Block]:
    files = {crop.crop_id: crop.path(shown.contents.folder) for crop in read_crops(shown.contents.folder)}
    rows = largest(pairs, files)
    figure = plates_figure(pairs, files)
    if figure is None:
        return [Words("The files of the crops are not in this folder, so that none is shown.", "note")]
    return [
        shown.keep(
            f"recognition_plates{suffix}",
            figure,
            "pairs",
            rows,
            "The largest gaps",
            "Left of each pair: the crop that the network recognises; right: its twin. Below: how many people recognised it. They are the "
            "largest of many, and partly by chance: the same pairs would have smaller gaps with other people.",
            "Both crops of the pairs with the largest gaps, with the share of people who recognised them",
        )
    ]


def _asked(rows: Sequence[dict[str, str]]) -> dict[str, str]:
    """Columns of a table of means: the question and condition only where there are several."""
    several = [name for name in ("question", "condition") if len({row[name] for row in rows}) > 1]
    return {name: name for name in several} | {name: text for name, text in RATES.items() if name != "condition"}

"""The tables of fragility: one row for each picture, side and type, and their means for each network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from protocols.tables import write_table
from stimuli.fragile.estimates import Counted, MeanShare, mean_share
from stimuli.fragile.mapping import Finding

EVERYTHING = "all"
"""The supercategory of rows over all pictures."""

COLUMNS: dict[str, str] = {
    "network": "Network, as its store is called.",
    "picture_id": "Picture.",
    "category": "What it shows.",
    "supercategory": "What that is one of.",
    "proportion": "Side of the windows as a share of the picture's shorter side (n/a: given in pixels).",
    "side_px": "Side of the windows, pixels.",
    "type": "loose or strict: recognition flips for any, or for all, of the changed windows; shift: by one pixel, to the (up to) "
    "eight neighbours; shrink: by two pixels, to the nine smaller windows inside.",
    "estimate": "exhaustive: every window was looked at; sample: windows drawn at random, and the rate is an estimate.",
    "n_windows": "Windows of this side in the picture.",
    "n_looked_at": "Windows whose fragility is known.",
    "correct": "Share of these that the network recognises.",
    "rate": "Share of windows that are fragile, of either sign.",
    "ci_low": "Of the 95 % interval of the rate over all windows (exhaustive: the rate itself).",
    "ci_high": "Of the 95 % interval of the rate over all windows (exhaustive: the rate itself).",
    "to_incorrect": "Share of windows that are right and become wrong.",
    "to_correct": "Share of windows that are wrong and become right.",
    "rate_in_box": "Rate among windows whose middle lies in the object's box (n/a: no box).",
    "rate_outside_box": "Rate among the other windows.",
}
MEAN_COLUMNS: dict[str, str] = {
    "network": COLUMNS["network"],
    "supercategory": f"Supercategory; {EVERYTHING}: all pictures.",
    "proportion": COLUMNS["proportion"],
    "side_px": "Side of the windows, pixels, where it is the same in all pictures.",
    "type": COLUMNS["type"],
    "estimate": "exhaustive: every window of every picture was looked at; sample: not all were, and the mean is an estimate.",
    "n_pictures": "Pictures.",
    "rate": "Mean over pictures of the share of windows that are fragile.",
    "ci_low": "Of the 95 % interval of that mean over all windows of these very pictures.",
    "ci_high": "Of the 95 % interval of that mean over all windows of these very pictures.",
    "ci_low_such_pictures": "Of the 95 % interval of the mean over pictures like these (Student's t over pictures).",
    "ci_high_such_pictures": "Of the 95 % interval of the mean over pictures like these (Student's t over pictures).",
    "to_incorrect": "Mean share of windows that are right and become wrong.",
    "to_correct": "Mean share of windows that are wrong and become right.",
    "n_in_box": "Pictures with windows looked at whose middle lies in the object's box.",
    "rate_in_box": "Mean over these of the rate among such windows (n/a: no boxes).",
    "ci_low_in_box": "Of the 95 % interval of that mean over all windows of these very pictures.",
    "ci_high_in_box": "Of the 95 % interval of that mean over all windows of these very pictures.",
    "n_outside_box": "Pictures with a box and windows looked at whose middle lies outside it.",
    "rate_outside_box": "Mean over these of the rate among such windows (n/a: no boxes).",
    "ci_low_outside_box": "Of the 95 % interval of that mean over all windows of these very pictures.",
    "ci_high_outside_box": "Of the 95 % interval of that mean over all windows of these very pictures.",
}


@dataclass(frozen=True)
class PartRate:
    """The mean rate of the windows that lie in the objects' boxes, or of those that do not; None where there are none."""

    n_pictures: int
    rate: MeanShare | None


@dataclass(frozen=True)
class MeanRate:
    """The mean rate of some pictures under one network, for one side and type; inside and outside the objects' boxes, too."""

    network: str
    supercategory: str
    proportion: float | None
    side_px: int | None
    type: str
    exhaustive: bool
    n_pictures: int
    rate: MeanShare
    to_incorrect: float
    to_correct: float
    in_box: PartRate
    outside_box: PartRate


def rate_rows(network: str, findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """The rows of ``rates.tsv`` (see `COLUMNS`)."""
    return [_row(network, found) for found in findings]


def mean_rates(network: str, findings: Sequence[Finding]) -> list[MeanRate]:
    """Means over all pictures, then over those of each supercategory; in the order of sides and types."""
    groups: dict[tuple[str, float | None, int | None, str], list[Finding]] = {}
    for supercategory in [EVERYTHING, *dict.fromkeys(found.picture.supercategory for found in findings)]:
        for found in findings:
            if supercategory in (EVERYTHING, found.picture.supercategory):
                side_px = found.side.grid.side if found.side.proportion is None else None
                key = supercategory, found.side.proportion, side_px, found.type
                groups.setdefault(key, []).append(found)
    return [_mean(network, key[0], members) for key, members in groups.items()]


def write_rates(folder: Path, rows: Sequence[Mapping[str, Any]], means: Sequence[MeanRate]) -> tuple[Path, Path]:
    """Write ``rates.tsv`` and ``rates_mean.tsv``; returns their paths."""
    return (
        write_table(folder / "rates.tsv", COLUMNS, rows),
        write_table(folder / "rates_mean.tsv", MEAN_COLUMNS, [_mean_row(mean) for mean in means]),
    )


def _row(network: str, found: Finding) -> dict[str, Any]:
    picture, counts = found.picture, found.everywhere
    return {
        "network": network,
        "picture_id": picture.picture_id,
        "category": picture.category,
        "supercategory": picture.supercategory,
        "proportion": found.side.proportion,
        "side_px": found.side.grid.side,
        "type": found.type,
        "estimate": _estimate(found.exhaustive),
        "n_windows": counts.total,
        "n_looked_at": counts.looked_at,
        "correct": found.right,
        "rate": counts.rate.share,
        "ci_low": counts.rate.low,
        "ci_high": counts.rate.high,
        "to_incorrect": counts.to_incorrect / counts.looked_at,
        "to_correct": counts.to_correct / counts.looked_at,
        "rate_in_box": _share(found.inside),
        "rate_outside_box": _share(found.outside),
    }


def _share(counts: Counted | None) -> float | None:
    return None if counts is None else counts.rate.share


def _estimate(exhaustive: bool) -> str:
    return "exhaustive" if exhaustive else "sample"


def _mean(network: str, supercategory: str, found: Sequence[Finding]) -> MeanRate:
    sides, n = {each.side.grid.side for each in found}, len(found)
    counts = [each.everywhere for each in found]
    return MeanRate(
        network=network,
        supercategory=supercategory,
        proportion=found[0].side.proportion,
        side_px=sides.pop() if len(sides) == 1 else None,
        type=found[0].type,
        exhaustive=all(each.exhaustive for each in found),
        n_pictures=n,
        rate=mean_share(counts),
        to_incorrect=sum(count.to_incorrect / count.looked_at for count in counts) / n,
        to_correct=sum(count.to_correct / count.looked_at for count in counts) / n,
        in_box=_part([each.inside for each in found]),
        outside_box=_part([each.outside for each in found]),
    )


def _part(counts: Sequence[Counted | None]) -> PartRate:
    looked = [count for count in counts if count is not None and count.looked_at > 0]
    return PartRate(len(looked), mean_share(looked) if looked else None)


def _part_row(part: PartRate, where: str) -> dict[str, Any]:
    low, high = part.rate.of_these if part.rate else (None, None)
    mean = part.rate.mean if part.rate else None
    return {f"n_{where}": part.n_pictures, f"rate_{where}": mean, f"ci_low_{where}": low, f"ci_high_{where}": high}


def _mean_row(mean: MeanRate) -> dict[str, Any]:
    low, high = mean.rate.of_these
    such_low, such_high = mean.rate.of_such
    return {
        **asdict(mean),
        **_part_row(mean.in_box, "in_box"),
        **_part_row(mean.outside_box, "outside_box"),
        "estimate": _estimate(mean.exhaustive),
        "rate": mean.rate.mean,
        "ci_low": low,
        "ci_high": high,
        "ci_low_such_pictures": such_low,
        "ci_high_such_pictures": such_high,
    }

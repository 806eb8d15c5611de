"""What was found, in a few lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stimuli.fragile.definitions import FRAGILE_TYPES
from stimuli.fragile.rates import EVERYTHING, MeanRate
from stimuli.fragile.run import FragileResult


def lines(result: FragileResult) -> Iterator[str]:
    """A table for each network: fragile windows in per cent, with the half width of the interval where they are estimates."""
    for network in dict.fromkeys(mean.network for mean in result.means):
        means = [mean for mean in result.means if mean.network == network and mean.supercategory == EVERYTHING]
        yield from _table(network, means)
        if network in result.read_again:
            yield f"  {result.read_again[network]} windows were read again in single precision"


def _table(network: str, means: Sequence[MeanRate]) -> Iterator[str]:
    estimated = not all(mean.exhaustive for mean in means)
    kind = "estimate, ± half the 95 % interval" if estimated else "of all windows"
    yield f"{network}: fragile windows, % ({kind}; mean of {means[0].n_pictures} pictures)"
    rows = [("", *(name.replace("_", " ") for name in FRAGILE_TYPES))]
    by_side: dict[str, dict[str, MeanRate]] = {}
    for mean in means:
        side = f"{mean.side_px} px" if mean.proportion is None else f"P = {mean.proportion:g}"
        by_side.setdefault(side, {})[mean.type] = mean
    rows += [(side, *(_cell(types.get(name)) for name in FRAGILE_TYPES)) for side, types in by_side.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "   ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))


def _cell(mean: MeanRate | None) -> str:
    if mean is None:
        return "n/a"
    low, high = mean.rate.of_these
    shown = f"{100 * mean.rate.mean:.1f}"
    return shown if mean.exhaustive else f"{shown} ± {50 * (high - low):.1f}"

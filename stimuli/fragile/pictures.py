"""Pictures of fragile recognition, drawn from what a mapping left in the study folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocols.folder import StudyFolder, exclusive
from protocols.problems import NotReady
from protocols.provenance import write_sidecar
from protocols.study import Study
from protocols.tables import read_table
from stimuli.fragile.counting import keep_maps
from stimuli.fragile.found import Found, Seen, found_in, pictures_of
from stimuli.fragile.mapping import Side
from stimuli.fragile.picture_pages import confidence_page, maps_page, pairs_page
from stimuli.fragile.rates import EVERYTHING
from stimuli.fragile.rates_chart import chart, series_of
from stimuli.fragile.sources import PictureToMap
from stimuli.image_files import write_png
from stimuli.synthesis.starts import ByteImage

PACKAGES = ("numpy", "pillow", "zarr")
MOST_NAMED = 4


@dataclass(frozen=True)
class Drawn:
    """What was drawn.

    written : pages, each with its sidecar beside it.
    said    : what was not drawn, and why.
    """

    written: tuple[Path, ...]
    said: tuple[str, ...]


def pictures(
    study: Study,
    folder: StudyFolder,
    only: str | None = None,
    *,
    told: Callable[[int, int], None] = lambda done, n: None,
) -> Drawn:
    """Draw what is known of a study's pictures, and the rates over window sizes.

    study  : with `fragile`.
    folder : the study folder, mapped by `foolscan stimuli fragile`.
    only   : picture_id of the one that is drawn; None: all.
    told   : progress, (pictures done, pictures in all).

    Of a picture that is mapped in full: its correctness and fragile recognition maps (Srivastava et al. 2019, figures 3 and 4;
    they are put into the store as well), each network's confidence (figure A.9) and pairs of windows (figure A.10). Of one
    that was sampled: the pairs.

    Raises NotReady when nothing was mapped there, FoolscanError for a picture that the study does not have, or a store of other
    parameters.
    """
    found = found_in(study, folder)
    chosen = pictures_of(study, only)
    written, said = [], _Said()
    with exclusive(folder.derived("fragile"), f"fragile recognition in {folder.root}"):
        for done, picture in enumerate(chosen, start=1):
            written += _of_picture(folder, picture, found, said)
            told(done, len(chosen))
        if not written and not said.is_of_read_ones():
            raise NotReady(
                f"{folder.derived('fragile')}: no picture has been read yet; map them first: foolscan stimuli fragile "
                f"{study.name} --to {folder.root}"
            )
        written += _rates(folder)
    return Drawn(tuple(written), tuple(said.lines()))


NOT_READ = "not read yet"


@dataclass
class _Said:
    """Pictures of which something is not drawn, by what that is."""

    pictures: dict[str, list[str]] = field(default_factory=dict)

    def of(self, picture: PictureToMap, what: str) -> None:
        self.pictures.setdefault(what, []).append(picture.picture_id)

    def is_of_read_ones(self) -> bool:
        return any(not what.endswith(NOT_READ) for what in self.pictures)

    def lines(self) -> Iterator[str]:
        """``picturenet: windows of 57 px were only sampled …: mug-0000, owl-0000``; long lists are cut."""
        for what, names in self.pictures.items():
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            yield f"{what}: {', '.join(names[:MOST_NAMED])}{more}"


def _of_picture(folder: StudyFolder, picture: PictureToMap, found: Mapping[str, Found], said: _Said) -> list[Path]:
    pixels, written = picture.read(), []
    whole: dict[str, dict[Side, Seen]] = {}
    for name, one in found.items():
        sides = _seen(picture, one)
        if not sides:
            said.of(picture, f"{name}: {NOT_READ}")
            continue
        mapped = {side: at for side, at in sides.items() if at.looked.exhaustive}
        if mapped:
            whole[name] = mapped
            for side, at in mapped.items():
                keep_maps(one.store, picture.picture_id, side.grid, at.looked, one.plan.top_k)
            page = maps_page(picture, pixels, name, [*mapped.values()])
            written.append(_save(folder, f"{picture.picture_id}_{name}_maps", page, picture, [one]))
        if len(mapped) < len(sides):
            said.of(picture, _sampled_only(name, [at for side, at in sides.items() if side not in mapped]))
        pairs = pairs_page(picture, pixels, one, [*sides.values()])
        if pairs is None:
            said.of(picture, f"{name}: no fragile window among those looked at, so no pairs")
        else:
            written.append(_save(folder, f"{picture.picture_id}_{name}_pairs", pairs, picture, [one]))
    if whole:
        page = confidence_page(picture, pixels, whole)
        networks = [found[name] for name in whole]
        written.append(_save(folder, f"{picture.picture_id}_confidence", page, picture, networks))
    return written


def _seen(picture: PictureToMap, found: Found) -> dict[Side, Seen]:
    sides = {side: found.seen(picture, side) for side in found.sides(picture)}
    return {side: at for side, at in sides.items() if at is not None}


def _sampled_only(network: str, sampled: Sequence[Seen]) -> str:
    which = ", ".join(str(at.side.grid.side) for at in sampled)
    n_cells = max(len(at.looked.cells) for at in sampled)
    return (
        f"{network}: windows of {which} px were only sampled ({n_cells} a map), so no maps of them are drawn, but pairs and rates "
        "(all windows: foolscan stimuli fragile --full)"
    )


def _rates(folder: StudyFolder) -> list[Path]:
    table = folder.derived("fragile") / "rates_mean.tsv"
    if not table.exists():
        return []  # a mapping that was interrupted has none yet
    rows = [row for row in read_table(table) if row["supercategory"] == EVERYTHING]
    series = series_of(rows)
    if not any(points for networks in series.values() for points in networks.values()):
        return []  # sides in pixels alone: there is no axis of proportions
    n_pictures = max(int(row["n_pictures"]) for row in rows)
    notes = [f"mean of {n_pictures} pictures" if n_pictures > 1 else "one picture"]
    if any(row["estimate"] == "sample" for row in rows):
        notes.append("thick bars: 95 % interval over all windows of these pictures")
    else:
        notes[0] += ", every window looked at"
    if n_pictures > 1:
        notes.append("thin bars: 95 % interval of the mean over pictures like these")
    page = chart("Fragile windows", notes, series)
    path = _pages_folder(folder) / "rates.png"
    write_png(path, page)
    write_sidecar(folder, path, inputs=[table], parameters={"page": "rates"}, packages=PACKAGES)
    return [path]


def _pages_folder(folder: StudyFolder) -> Path:
    return folder.derived("fragile") / "pictures"


def _save(folder: StudyFolder, name: str, page: ByteImage, picture: PictureToMap, found: Sequence[Found]) -> Path:
    path = _pages_folder(folder) / f"{name}.png"
    write_png(path, page)
    facts: dict[str, Any] = {
        "picture": picture.picture_id,
        "identity": picture.identity,
        "networks": {one.name: one.network_sha256 for one in found},
        "top_k": found[0].plan.top_k,
    }
    write_sidecar(folder, path, inputs=(), parameters=facts, packages=PACKAGES, seed=found[0].seed)
    return path

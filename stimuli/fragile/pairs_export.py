"""Pairs of crops as a stimulus set: drawn from what a mapping found, asked again, written with their manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from protocols.crops import COLUMNS, N_LABELS, Crop, crops_folder, crops_table, pairs_of, read_crops, write_crops
from protocols.folder import StudyFolder, exclusive
from protocols.formats import CROPS
from protocols.fragile_plan import FragilePlan, PairsPlan
from protocols.problems import FoolscanError, NotReady, ProtocolError, near
from protocols.provenance import sha256_of_bytes, write_sidecar
from protocols.study import Study
from stimuli.contact_sheet import BAD, GOOD, INK, Block, Cell, sheet
from stimuli.fragile.asking import Question, Said, ask, network_again
from stimuli.fragile.found import Found, Seen, found_in, pictures_of
from stimuli.fragile.mapping import Side, sides_of
from stimuli.fragile.pairs import Pair, Window, drawn_pairs, of_every_picture, overlap, supercategories
from stimuli.fragile.reading import CONFIDENCE, LABEL, RANK
from stimuli.fragile.run import PACKAGES, networks_of, plan_of
from stimuli.fragile.sources import PictureToMap
from stimuli.image_files import png_bytes, read_rgb, write_png
from stimuli.networks.network import Network
from stimuli.synthesis.starts import ByteImage
from stimuli.workshop import someone_recorded

CONFIDENCE_WITHIN = 0.01
"""Of the stored one: other processors add in another order."""
JUDGED_ON = {
    "resized": "the crop at its own pixels, resized to the network's input",
    "centred": "the crop at its own pixels, in the middle of a black input",
    "in_place": "the crop at its place in its picture, the rest of which is black",
}
"""What the network was asked about, by `fragile.crops`."""
FILTERS = {"lanczos": Image.Resampling.LANCZOS, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True)
class Exported:
    """What was exported.

    written         : manifest, sidecar and contact sheet.
    supercategories : pairs of each.
    """

    written: tuple[Path, ...]
    crops: tuple[Crop, ...]
    supercategories: Mapping[str, int]


def fragile_pairs(
    study: Study,
    folder: StudyFolder,
    device: str = "auto",
    *,
    told: Callable[[int, int], None] = lambda done, n: None,
) -> Exported:
    """Draw pairs of windows and write them as PNG files with their manifest, ``stimuli/crops/crops.tsv``.

    study  : with `fragile`, whose `pairs` say which.
    folder : the study folder, mapped by `foolscan stimuli fragile`, in full or by samples.
    device : where the network is asked again.
    told   : progress, (crops written, crops in all).

    Both members are asked about again, as they were when their map was read, before anything is written.

    Raises NotReady when nothing was mapped there, WorkWanting when there are too few pairs, FoolscanError when the network says
    something else of a crop than stands in its store.
    """
    plan, wanted = plan_of(study), plan_of(study).pairs
    refuse_unknown(study, plan, wanted)
    found = found_in(study, folder)
    name = wanted.network or next(iter(found))
    with exclusive(folder.derived("fragile"), f"fragile recognition in {folder.root}"):
        pairs = pairs_of_study(study, folder, found[name])
        network = network_again(study, found[name], device)
        questions = [question for pair in pairs for question in _questions(pair, network)]
        said = [*ask(network, found[name], questions, N_LABELS)]
        for number, (question, answer) in enumerate(zip(questions, said, strict=True)):
            refuse_disagreement(pairs[number // 2], number % 2, question, answer, plan, network)
        earlier = _earlier(folder)
        _refuse_to_replace_shown(folder, earlier, pairs, [shown(question.crop, wanted) for question in questions])
        crops = []
        for number, (question, answer) in enumerate(zip(questions, said, strict=True)):
            crops.append(_written(folder, found[name], wanted, pairs[number // 2], number, question, answer))
            told(len(crops), len(questions))
        written = _with_sidecar(study, folder, found[name], wanted, crops)
        for path in earlier - {crop.path(folder) for crop in crops}:
            path.unlink(missing_ok=True)
    return Exported(written, tuple(crops), supercategories(pairs))


def refuse_unknown(study: Study, plan: FragilePlan, wanted: PairsPlan) -> None:
    """Raise ProtocolError for pairs of a network or a proportion that the study does not map."""
    names = list(networks_of(study, plan))
    problems = []
    if wanted.network is not None and wanted.network not in names:
        allowed = f"a network that maps: {', '.join(names)}{near(wanted.network, names)}"
        problems.append(study.problem("fragile.pairs.network", repr(wanted.network), allowed))
    if wanted.proportion is not None and wanted.proportion not in plan.proportions:
        allowed = f"one of fragile.proportions: {', '.join(f'{share:g}' for share in plan.proportions)}"
        problems.append(study.problem("fragile.pairs.proportion", f"{wanted.proportion:g}", allowed))
    if problems:
        raise ProtocolError(problems)


def pairs_of_study(study: Study, folder: StudyFolder, found: Found) -> tuple[Pair, ...]:
    """The pairs that a study's `fragile.pairs` draws from what one network's store holds.

    Raises NotReady when none of the pictures has been read, WorkWanting when there are too few pairs.
    """
    wanted, read = found.plan.pairs, 0

    def seen() -> Iterator[Seen]:
        nonlocal read
        for picture in pictures_of(study):
            one = found.seen(picture, side_of_pairs(found.plan, picture))
            if one is not None:
                read += 1
                yield one

    possible = [*of_every_picture(seen(), wanted.type, wanted.direction, found.plan.top_k, study.seed)]
    if not read:
        raise NotReady(
            f"{found.store.path}: windows of that side have not been read; map them first: foolscan stimuli fragile {study.name} "
            f"--to {folder.root}"
        )
    mend = (
        f"{read} pictures were looked at for {wanted.type.replace('_', ' ')}, {wanted.direction.replace('_', ' ')}: map more pictures "
        "(fragile.per_supercategory) or more windows of each (--sample, --full), take direction: both or a loose type, or set "
        f"fragile.pairs.n to at most {len(possible)}"
    )
    return drawn_pairs(possible, wanted.n, study.seed, mend)


def side_of_pairs(plan: FragilePlan, picture: PictureToMap) -> Side:
    """The side of the fragile windows in a picture."""
    sides = sides_of(plan, picture.height, picture.width)
    if plan.pairs.proportion is None:
        return sides[0]
    return next(side for side in sides if side.proportion == plan.pairs.proportion)


def refuse_disagreement(
    pair: Pair, member: int, question: Question, said: Said, plan: FragilePlan, network: Network
) -> None:
    """Raise FoolscanError when a network says something else of a crop than what was read when its map was made.

    member : 0: the fragile one; 1: the altered one.

    A map of `bf16_checked` holds probabilities of half precision: of it only right and wrong are compared.
    """
    stored = (pair.fragile, pair.altered)[member]
    correct = bool(said.reading[RANK] < plan.top_k)
    off_by = abs(float(said.reading[CONFIDENCE] - stored.reading[CONFIDENCE]))
    if correct == stored.correct and (off_by <= CONFIDENCE_WITHIN or plan.precision != "fp32"):
        return
    before, now = (
        f"{'right' if right else 'wrong'} ({network.labels[int(reading[LABEL])]}, true class {reading[CONFIDENCE]:.4f})"
        for right, reading in ((stored.correct, stored.reading), (correct, said.reading))
    )
    raise FoolscanError(
        f"{pair.picture.picture_id}: window of {question.side} px at row {question.row}, column {question.column}: the store says "
        f"{before}, the network now says {now}; export on the device that mapped (--device), or map the picture again"
    )


def _questions(pair: Pair, network: Network) -> Iterator[Question]:
    pixels, true = pair.picture.read(), pair.picture.true(network)
    for window in (pair.fragile, pair.altered):
        yield Question(pixels, window.row, window.column, window.side, true)


def _names(pair: Pair, number: int) -> tuple[str, str]:
    """The names of a pair and of one of its crops; crops are counted from 0."""
    pair_id = f"p{number // 2 + 1:03d}-{pair.picture.picture_id}"
    return pair_id, f"{pair_id}_{'b' if number % 2 else 'a'}"


def _refuse_to_replace_shown(
    folder: StudyFolder, earlier: Set[Path], pairs: Sequence[Pair], images: Sequence[ByteImage]
) -> None:
    """People's data name the crops they saw: those may not become other crops."""
    recorded = someone_recorded(folder) if earlier else None
    if recorded is None:
        return
    now = {
        crops_folder(folder) / f"{_names(pairs[number // 2], number)[1]}.png": png_bytes(image)
        for number, image in enumerate(images)
    }
    if set(now) != earlier or any(path.exists() and path.read_bytes() != content for path, content in now.items()):
        raise FoolscanError(
            f"{crops_folder(folder)}: would be made anew, but {recorded.name} was shown the crops that stand; make others into a "
            "new folder with --to"
        )


def _written(
    folder: StudyFolder, found: Found, wanted: PairsPlan, pair: Pair, number: int, question: Question, said: Said
) -> Crop:
    """One crop, its file written.

    number : of the crop; those of a pair follow one another.
    """
    second = number % 2 == 1
    pair_id, crop_id = _names(pair, number)
    image = shown(question.crop, wanted)
    content = png_bytes(image)
    path = crops_folder(folder) / f"{crop_id}.png"
    write_png(path, image)
    best: dict[str, Any] = {}
    for place in range(N_LABELS):  # fewer classes than that: n/a
        there = place < len(said.labels)
        best[f"label_{place + 1}"] = said.labels[place] if there else None
        best[f"confidence_{place + 1}"] = said.probabilities[place] if there else None
    window: Window = pair.altered if second else pair.fragile
    down, across = pair.offset if second else (0, 0)
    return Crop(
        crop_id=crop_id,
        pair_id=pair_id,
        member="altered" if second else "fragile",
        crop_file=path.relative_to(folder.stimuli).as_posix(),
        picture_id=pair.picture.picture_id,
        category=pair.picture.category,
        supercategory=pair.picture.supercategory,
        row=window.row,
        column=window.column,
        side_px=window.side,
        shown_px=image.shape[0],
        proportion=pair.side.proportion,
        type=pair.type,
        offset_rows=down,
        offset_columns=across,
        network_class=found.classes[question.true],
        correct=window.correct,
        confidence=float(said.reading[CONFIDENCE]),
        **best,
        box_overlap=overlap(window, pair.picture.box),
        network=found.name,
        network_sha256=found.network_sha256,
        seed=pair.seed,
        sha256=sha256_of_bytes(content),
    )


def shown(crop: ByteImage, wanted: PairsPlan) -> ByteImage:
    """A crop as it is shown: resized once by Pillow, or as it is."""
    if wanted.shown_px is None:
        return crop
    size = (wanted.shown_px, wanted.shown_px)
    return np.asarray(Image.fromarray(crop).resize(size, FILTERS[wanted.filter]))


def _earlier(folder: StudyFolder) -> set[Path]:
    """The files of an earlier export, which this one replaces."""
    if not crops_table(folder).exists():
        return set()
    try:
        return {crop.path(folder) for crop in read_crops(folder)}
    except FoolscanError:
        return set()  # of which nothing is known: the files stay


def _with_sidecar(
    study: Study, folder: StudyFolder, found: Found, wanted: PairsPlan, crops: Sequence[Crop]
) -> tuple[Path, ...]:
    manifest = write_crops(folder, crops)
    facts = {
        "study": study.name,
        "pairs": wanted.model_dump(mode="json"),
        "network": found.name,
        "network_sha256": found.network_sha256,
        "top_k": found.plan.top_k,
        "crops": found.plan.crops,
        "filter": found.plan.filter,
        "judged_on": JUDGED_ON[found.plan.crops],
    }
    more = {"format": CROPS, **{name: {"Description": meaning} for name, meaning in COLUMNS.items()}}
    sidecar = write_sidecar(
        folder, manifest, inputs=(), parameters=facts, packages=PACKAGES, seed=study.seed, more=more
    )
    page = folder.derived("fragile") / "pairs.png"
    write_png(page, pairs_sheet(folder, crops))
    return (
        manifest,
        sidecar,
        page,
        write_sidecar(folder, page, inputs=[manifest], parameters={"page": "pairs"}, packages=PACKAGES),
    )


def pairs_sheet(folder: StudyFolder, crops: Sequence[Crop]) -> ByteImage:
    """All pairs by supercategory: the crop that is recognised on the left, and what the network says of both."""
    groups: dict[str, list[Cell]] = {}
    for fragile, altered in pairs_of(crops):
        right, wrong = (fragile, altered) if fragile.correct else (altered, fragile)
        images = [read_rgb(crop.path(folder)) for crop in (right, wrong)]
        height = max(image.shape[0] for image in images)
        padded = [
            np.pad(image, ((0, height - image.shape[0]), (0, 8 + height - image.shape[1]), (0, 0)), constant_values=255)
            for image in images
        ]
        own = f", {_words(wrong.network_class)} {100 * wrong.confidence:.1f} %"
        lines = (
            (f"{_words(right.label_1)} {100 * right.confidence_1:.1f} %", GOOD if right.correct else INK),
            (f"{_words(wrong.label_1)} {100 * wrong.confidence_1:.1f} %{own}", BAD),
        )
        groups.setdefault(fragile.supercategory, []).append(Cell(np.concatenate(padded, axis=1), lines))
    blocks = [Block(name.replace("_", " "), tuple(cells)) for name, cells in groups.items()]
    half = -(-len(blocks) // 2)
    columns = [part for part in (blocks[:half], blocks[half:]) if part]
    first, n_pairs = crops[0], len(crops) // 2
    counted = f"{n_pairs} pairs" if n_pairs > 1 else "one pair"
    note = f"{counted}, {first.type.replace('_', ' ')}, by {first.network}; left: recognised, right: not; below: what it says"
    return sheet("Pairs of crops that a network tells apart", note, columns, across=2)


def _words(label: str) -> str:
    return label.replace("_", " ").split(",")[0]

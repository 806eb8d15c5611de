"""Dummies whose images are stored: onsets count them, the GLM leaves them out."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from analysis.betas import estimate_betas
from analysis.nifti import open_nifti
from analysis.simulate_bold import simulate_bold
from analysis.stored_betas import betas_path
from protocols.folder import StudyFolder, write_json, write_text
from protocols.problems import FoolscanError
from protocols.provenance import sidecar_path
from protocols.study import Dummies, Study

N_DUMMIES, TR_S = 5, 2.0


def with_dummies(fake: SimpleNamespace, images: str) -> Study:
    return fake.study(scan__dummies=Dummies(volumes=N_DUMMIES, images=images))  # type: ignore[no-any-return, arg-type]


def shifted(folder: StudyFolder, by_s: float) -> None:
    """The same events, as they are written when the dummies before them are stored."""
    path = folder.events(folder.runs("animals")[0])
    rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines(), delimiter="\t"))
    later = [rows[0], *([f"{float(row[0]) + by_s:.6f}", *row[1:]] for row in rows[1:])]
    write_text(path, "".join("\t".join(row) + "\n" for row in later))


def test_betas_do_not_depend_on_whether_the_dummies_were_stored(fake: SimpleNamespace, tmp_path: Path) -> None:
    without, study = with_dummies(fake, "discarded"), with_dummies(fake, "stored")
    folder = fake.folder(tmp_path, without, n_categories=4, sessions=1, runs=1)
    run = folder.runs("animals")[0]
    simulate_bold(without, folder)
    estimate_betas(without, folder)
    before = np.asarray(open_nifti(betas_path(folder, run)).dataobj)

    # the same scan with bright volumes before it, and onsets that count them
    import nibabel

    image = nibabel.load(folder.bold(run))
    values = np.asarray(image.dataobj)
    dummies = np.repeat(3.0 * values[..., :1], N_DUMMIES, axis=3)
    longer = nibabel.Nifti1Image(np.concatenate([dummies, values], axis=3), image.affine)
    longer.header.set_zooms((*image.header.get_zooms()[:3], TR_S))
    nibabel.save(longer, folder.bold(run))
    write_json(sidecar_path(folder.bold(run)), {"RepetitionTime": TR_S, "StartTime": TR_S / 2})
    confounds = next(folder.derived("confounds").rglob("*.tsv"))
    header, *rows = confounds.read_text(encoding="utf-8").splitlines(keepends=True)
    write_text(confounds, "".join([header, *[rows[0]] * N_DUMMIES, *rows]))
    shifted(folder, N_DUMMIES * TR_S)

    estimate_betas(study, folder)
    np.testing.assert_allclose(np.asarray(open_nifti(betas_path(folder, run)).dataobj), before, rtol=1e-4, atol=1e-5)


def test_a_simulated_scanner_stores_them_too(fake: SimpleNamespace, tmp_path: Path) -> None:
    study = with_dummies(fake, "stored")
    folder = fake.folder(tmp_path, study, n_categories=4, sessions=1, runs=1)
    shifted(folder, N_DUMMIES * TR_S)
    simulate_bold(study, folder)
    assert open_nifti(folder.bold(folder.runs("animals")[0])).shape[3] == study.scan.volumes + N_DUMMIES
    assert estimate_betas(study, folder)


def test_a_study_that_says_otherwise_is_refused(fake: SimpleNamespace, tmp_path: Path) -> None:
    folder = fake.folder(tmp_path, fake.study(), n_categories=4, sessions=1, runs=1)
    simulate_bold(fake.study(), folder)
    with pytest.raises(FoolscanError, match=r"found 90 volumes; scan\.volumes is 90 after 5 stored dummies"):
        estimate_betas(with_dummies(fake, "stored"), folder)

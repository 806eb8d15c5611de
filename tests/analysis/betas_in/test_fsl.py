"""FSL: contrasts and parameter estimates of .feat folders, named by design.con and design.fsf, checked by their timing files."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest

from analysis.betas_in.importing import Request, import_betas
from analysis.stored_betas import betas_path
from protocols.folder import RunId
from protocols.problems import FoolscanError

UNITS = "FSL's units (mean 10000)"


def feat(lab: Any, write: SimpleNamespace, run: RunId, *, derivatives: bool = True, contrasts: bool = True) -> Path:
    """A .feat folder: one EV per image, with temporal derivatives, a contrast for each and one between two."""
    place = lab.root / "fsl" / f"{run.stem}.feat"
    order, onsets_s, images = lab.order(run), lab.onsets_s(run), lab.images(run)
    names = list(lab.stim_ids)
    settings = [f"set fmri(evs_orig) {len(names)}", f"set fmri(evs_real) {len(names) * (2 if derivatives else 1)}"]
    for number, name in enumerate(names, start=1):
        settings += ["", f"# EV {number} title", f'set fmri(evtitle{number}) "{name}"', f"set fmri(convolve{number}) 3"]
        settings += [f"set fmri(deriv_yn{number}) {int(derivatives)}"]
        timing = place / "custom_timing_files" / f"ev{number}.txt"
        timing.parent.mkdir(parents=True, exist_ok=True)
        mine = [f"{onset_s:.3f} 1.0 1" for onset_s, other in zip(onsets_s, order, strict=True) if other == name]
        timing.write_text("\n".join(mine) + "\n", encoding="utf-8")
        real = 1 + (number - 1) * (2 if derivatives else 1)
        write.nifti(place / "stats" / f"pe{real}.nii.gz", images[name])
        if derivatives:
            write.nifti(place / "stats" / f"pe{real + 1}.nii.gz", 0.1 * images[name])
    (place / "design.fsf").write_text("\n".join(settings) + "\n", encoding="utf-8")
    if contrasts:
        n_real = len(names) * (2 if derivatives else 1)
        rows = np.zeros((len(names) + 1, n_real))
        for number, name in enumerate(names):
            rows[number + 1, number * (2 if derivatives else 1)] = 1
            write.nifti(place / "stats" / f"cope{number + 2}.nii.gz", images[name])
        rows[0, 0], rows[0, n_real // 2] = 1, -1
        write.nifti(place / "stats" / "cope1.nii.gz", images[names[0]] - images[names[1]])
        titles = [f"/ContrastName{number}\t{name}" for number, name in enumerate(["difference", *names], start=1)]
        matrix = [" ".join(f"{weight:e}" for weight in row) for row in rows]
        head = [f"/NumWaves\t{n_real}", f"/NumContrasts\t{len(rows)}", "/PPheights\t\t1 1", "", "/Matrix"]
        (place / "design.con").write_text("\n".join([*titles, *head, *matrix]) + "\n", encoding="utf-8")
    return place


def table_of(lab: Any, write: SimpleNamespace) -> Path:
    rows = [[run.sub, run.ses, run.run, f"{run.stem}.feat"] for run in lab.runs()]
    return write.tsv(lab.root / "runs.tsv", ("sub", "ses", "run", "path"), rows)


@pytest.mark.parametrize("derivatives", [True, False])
@pytest.mark.parametrize("maps", ["cope", "pe", None])
def test_estimates_of_every_run_come_back_as_they_were(
    lab: Any, write: SimpleNamespace, derivatives: bool, maps: Any
) -> None:
    for run in lab.runs():
        feat(lab, write, run, derivatives=derivatives, contrasts=maps is not None or derivatives)
    request = Request(lab.root / "fsl", "fsl", UNITS, table=table_of(lab, write), fsl_maps=maps)
    done = import_betas(lab.study, lab.folder, request)
    lab.expect_images()
    assert done[0].checked == "labels, counts, onsets"
    assert ("difference" in done[0].left_out) == (maps == "cope" or (maps is None and derivatives))


def test_another_runs_folder_is_recognised_by_its_onsets(lab: Any, write: SimpleNamespace) -> None:
    place = feat(lab, write, lab.run(run=2))
    request = Request(place, "fsl", UNITS, sub="01", ses="01", run="1")
    with pytest.raises(
        FoolscanError,
        match=r"run-02\.feat/stats/cope\d+ \(\S+\): \S+: found an onset at .*; logged: .*run-01_events\.tsv:\d+",
    ):
        import_betas(lab.study, lab.folder, request)


def test_one_folder_is_of_one_run(lab: Any, write: SimpleNamespace) -> None:
    place = feat(lab, write, lab.run())
    with pytest.raises(
        FoolscanError, match=r"found maps that do not say their run, for 4 runs .*name one with --ses and --run"
    ):
        import_betas(lab.study, lab.folder, Request(place, "fsl", UNITS, sub="01"))
    with pytest.raises(FoolscanError, match=r"--sub: found none; whose betas are they\?"):
        import_betas(lab.study, lab.folder, Request(place, "fsl", UNITS))


def test_a_contrast_with_the_name_of_another_ev_is_refused(lab: Any, write: SimpleNamespace) -> None:
    place = feat(lab, write, lab.run())
    text = (place / "design.con").read_text(encoding="utf-8")
    first, second = lab.stim_ids[:2]
    swapped = (
        text.replace(f"\t{first}\n", "\tX\n").replace(f"\t{second}\n", f"\t{first}\n").replace("\tX\n", f"\t{second}\n")
    )
    (place / "design.con").write_text(swapped, encoding="utf-8")
    with pytest.raises(
        FoolscanError, match=rf"design\.con: contrast 2: found '{second}' with weight 1 for EV '{first}'"
    ):
        import_betas(lab.study, lab.folder, Request(place, "fsl", UNITS, sub="01", ses="01", run="1"))


def test_names_and_what_is_no_image_come_from_a_table(lab: Any, write: SimpleNamespace) -> None:
    run = lab.run()
    place = feat(lab, write, run, contrasts=False)
    text = (place / "design.fsf").read_text(encoding="utf-8")
    for number, name in enumerate(lab.stim_ids):
        text = text.replace(f'"{name}"', f'"ev {number}"')
    (place / "design.fsf").write_text(text, encoding="utf-8")
    request = {"sub": "01", "ses": "01", "run": "1"}
    with pytest.raises(FoolscanError, match=r"pe1 \(ev 0\): map 1: found 'ev 0', which is no stim_id"):
        import_betas(lab.study, lab.folder, Request(place, "fsl", UNITS, **request))
    names = write.tsv(
        lab.root / "names.tsv", ("name", "stim_id"), [[f"ev {i}", name] for i, name in enumerate(lab.stim_ids)]
    )
    import_betas(lab.study, lab.folder, Request(place, "fsl", UNITS, names=names, **request))
    stored = np.asarray(nibabel.load(betas_path(lab.folder, run)).dataobj)
    np.testing.assert_array_equal(stored[..., 0], lab.images(run)[lab.stim_ids[0]])


def test_what_is_missing_or_damaged_is_named(lab: Any, write: SimpleNamespace) -> None:
    place = feat(lab, write, lab.run())
    request = Request(place, "fsl", UNITS, sub="01", ses="01", run="1")
    (place / "stats" / "cope4.nii.gz").write_bytes(b"")
    with pytest.raises(FoolscanError, match=r"cope4\.nii\.gz: found 0 bytes"):
        import_betas(lab.study, lab.folder, request)
    (place / "stats" / "cope4.nii.gz").unlink()
    with pytest.raises(FoolscanError, match=r"cope4\.nii\.gz: no such file, which the design names"):
        import_betas(lab.study, lab.folder, request)
    (place / "design.con").write_text("/ContrastName1\tone\n/Matrix\n1 x\n", encoding="utf-8")
    with pytest.raises(FoolscanError, match=r"design\.con:3: found '1 x', expected the weights of a contrast"):
        import_betas(lab.study, lab.folder, request)
    (place / "design.con").unlink()
    fsf = (place / "design.fsf").read_text(encoding="utf-8")
    (place / "design.fsf").write_text(fsf.replace("convolve2) 3", "convolve2) 5"), encoding="utf-8")
    with pytest.raises(FoolscanError, match=r"EV 2 \(\S+\) is convolved with a set of basis functions"):
        import_betas(lab.study, lab.folder, request)
    with pytest.raises(FoolscanError, match=r"found no folder stats; expected a \.feat folder"):
        import_betas(lab.study, lab.folder, Request(lab.root, "fsl", UNITS, sub="01", ses="01", run="1"))

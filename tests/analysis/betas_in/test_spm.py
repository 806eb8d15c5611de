"""SPM: betas by the names and onsets of SPM.mat, in MATLAB's versions 5, 7 and 7.3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import nibabel
import numpy as np
import pytest
from scipy.io import savemat

from analysis.betas_in.importing import Request, import_betas
from analysis.stored_betas import betas_path
from protocols.folder import RunId, read_json
from protocols.problems import FoolscanError
from protocols.provenance import sidecar_path

UNITS = "SPM's units"
Condition = tuple[str, list[float]]


def conditions_of(lab: Any, run: RunId) -> list[Condition]:
    order, onsets_s = lab.order(run), lab.onsets_s(run)
    return [
        (name, [onset for onset, other in zip(onsets_s, order, strict=True) if other == name])
        for name in lab.stim_ids[::-1]
    ]


def objects(items: Sequence[Any]) -> np.ndarray:
    cell = np.empty((1, len(items)), dtype=object)
    cell[0] = items
    return cell


def structures(items: Sequence[dict[str, Any]]) -> np.ndarray:
    array = np.empty((1, len(items)), dtype=[(name, object) for name in items[0]])
    for place, item in enumerate(items):
        array[0, place] = tuple(item.values())
    return array


def regressors(sessions: Sequence[Sequence[Condition]], derivatives: bool) -> list[str]:
    names = []
    for number, conditions in enumerate(sessions, start=1):
        for name, _ in conditions:
            names += [f"Sn({number}) {name}*bf({basis})" for basis in ((1, 2) if derivatives else (1,))]
        names += [f"Sn({number}) R{motion}" for motion in range(1, 3)]
    return names + [f"Sn({number}) constant" for number in range(1, len(sessions) + 1)]


def first_level(
    lab: Any,
    write: SimpleNamespace,
    runs: Sequence[RunId],
    *,
    units: str = "secs",
    derivatives: bool = False,
    basis: str = "hrf",
    conditions: Callable[[list[Condition]], list[Condition]] = lambda items: items,
    save: Callable[..., None] | None = None,
) -> Path:
    """A first-level folder as SPM12 leaves it: one session per run, two motion regressors, constants at the end."""
    place = lab.root / "spm"
    place.mkdir(exist_ok=True)
    sessions = [conditions(conditions_of(lab, run)) for run in runs]
    names = regressors(sessions, derivatives)
    rng = np.random.default_rng(0)
    for number, name in enumerate(names, start=1):
        condition = name.split(" ")[1].split("*")[0]
        images = lab.images(runs[int(name[3]) - 1])
        known = condition in images and name.endswith("bf(1)")
        values = images[condition] if known else rng.normal(size=(5, 4, 3))
        write.nifti(place / f"beta_{number:04d}.nii", values)
    scale = 1.0 if units == "secs" else 2.0
    told = {
        "names": names,
        "files": [f"beta_{number:04d}.nii" for number in range(1, len(names) + 1)],
        "sessions": [[(name, [onset / scale for onset in onsets]) for name, onsets in items] for items in sessions],
        "basis": basis,
        "units": units,
    }
    (save or save_5)(place / "SPM.mat", told)
    return place


def save_5(path: Path, told: dict[str, Any], compressed: bool = False) -> None:
    betas = [{"fname": name, "descrip": f"spm_spm:beta - {name}"} for name in told["files"]]
    sessions = []
    for conditions in told["sessions"]:
        inputs = [
            {"name": objects([name]), "ons": np.array(onsets)[:, None], "dur": np.ones((len(onsets), 1))}
            for name, onsets in conditions
        ]
        sessions.append({"U": structures(inputs), "row": np.arange(3.0)})
    savemat(
        path,
        {
            "SPM": {
                "xX": {"name": objects(told["names"]), "X": np.zeros((4, 2))},
                "Vbeta": structures(betas),
                "Sess": structures(sessions),
                "xBF": {"name": told["basis"], "UNITS": told["units"]},
                "xY": {"RT": 2.0},
            }
        },
        do_compression=compressed,
    )


def save_7(path: Path, told: dict[str, Any]) -> None:
    save_5(path, told, compressed=True)


def save_73(path: Path, told: dict[str, Any]) -> None:
    """The same structure as MATLAB writes it with -v7.3: HDF5, cells and arrays of structures as references, characters as numbers."""
    path.unlink(missing_ok=True)
    with h5py.File(path, "w", userblock_size=512) as content:
        refs = content.create_group("#refs#")

        def put(value: Any) -> h5py.Reference:
            inner = [put(text) for text in value] if isinstance(value, list) else []
            name = f"r{len(refs)}"
            if isinstance(value, str):
                item = refs.create_dataset(name, data=np.array([[ord(c)] for c in value], dtype=np.uint16))
                item.attrs["MATLAB_class"] = np.bytes_("char")
            elif isinstance(value, list):  # a cell of text
                item = references(refs, name, inner)
                item.attrs["MATLAB_class"] = np.bytes_("cell")
            elif isinstance(value, dict):
                item = refs.create_group(name)
                item.attrs["MATLAB_class"] = np.bytes_("struct")
                for key, inner in value.items():
                    array(item, key, inner)
            else:
                item = refs.create_dataset(name, data=np.asarray(value, dtype=float).T)
                item.attrs["MATLAB_class"] = np.bytes_("double")
            return item.ref

        def references(group: h5py.Group, name: str, found: list[h5py.Reference]) -> h5py.Dataset:
            item = group.create_dataset(name, (len(found), 1), dtype=h5py.ref_dtype)
            for place, ref in enumerate(found):
                item[place, 0] = ref
            return item

        def array(group: h5py.Group, name: str, items: list[dict[str, Any]]) -> None:
            inner = group.create_group(name)
            inner.attrs["MATLAB_class"] = np.bytes_("struct")
            for key in items[0]:
                references(inner, key, [put(item[key]) for item in items])

        def text(group: h5py.Group, name: str, value: str) -> None:
            group.create_dataset(name, data=np.array([[ord(c)] for c in value], dtype=np.uint16)).attrs[
                "MATLAB_class"
            ] = np.bytes_("char")

        spm = content.create_group("SPM")
        design = spm.create_group("xX")
        references(design, "name", [put(name) for name in told["names"]]).attrs["MATLAB_class"] = np.bytes_("cell")
        array(spm, "Vbeta", [{"fname": name, "descrip": "beta"} for name in told["files"]])
        sessions = [
            {"U": [{"name": [name], "ons": np.array(onsets)[:, None]} for name, onsets in conditions]}
            for conditions in told["sessions"]
        ]
        group = spm.create_group("Sess")
        group.attrs["MATLAB_class"] = np.bytes_("struct")
        found = []
        for place, session in enumerate(sessions):
            inner = refs.create_group(f"u{place}")
            inner.attrs["MATLAB_class"] = np.bytes_("struct")
            for key in ("name", "ons"):
                references(inner, key, [put(item[key]) for item in session["U"]])
            found.append(inner.ref)
        references(group, "U", found)
        told_basis = spm.create_group("xBF")
        text(told_basis, "name", told["basis"])
        text(told_basis, "UNITS", told["units"])
        spm.create_group("xY").create_dataset("RT", data=np.array([[2.0]]))
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(128))


def request(lab: Any, place: Path, **more: Any) -> Request:
    return Request(place, "spm", UNITS, **{"sub": "01", **more})


@pytest.mark.parametrize("save", [save_5, save_7, save_73])
@pytest.mark.parametrize("units", ["secs", "scans"])
def test_betas_of_four_sessions_come_back_as_they_were(
    lab: Any, write: SimpleNamespace, save: Callable[..., None], units: str
) -> None:
    place = first_level(lab, write, lab.runs(), units=units, save=save)
    done = import_betas(lab.study, lab.folder, request(lab, place))
    assert [item.stem for item in done] == [run.stem for run in lab.runs()]
    assert {(item.maps, item.checked, item.warnings) for item in done} == {(6, "labels, counts, onsets", ())}
    lab.expect_images()
    assert "Sn(1) R1" in read_json(sidecar_path(done[0].files[0]))["NotImported"]


def test_derivatives_are_left_out_and_told(lab: Any, write: SimpleNamespace) -> None:
    place = first_level(lab, write, lab.runs(), derivatives=True, basis="hrf (with time derivative)")
    done = import_betas(lab.study, lab.folder, request(lab, place))
    lab.expect_images()
    assert f"Sn(1) {lab.stim_ids[0]}*bf(2)" in done[0].left_out


def test_a_basis_set_in_which_no_beta_is_the_response_is_refused(lab: Any, write: SimpleNamespace) -> None:
    place = first_level(lab, write, lab.runs(), derivatives=True, basis="Finite Impulse Response")
    with pytest.raises(
        FoolscanError, match=r"several basis functions .*Finite Impulse Response.*no single beta is the response"
    ):
        import_betas(lab.study, lab.folder, request(lab, place))


def test_other_names_need_a_table(lab: Any, write: SimpleNamespace) -> None:
    numbers = {name: f"cond{number}" for number, name in enumerate(lab.stim_ids)}
    place = first_level(lab, write, lab.runs()[:1])
    assert len(sorted(place.glob("beta_*.nii"))) == 9  # six images, two motion regressors, a constant
    named = first_level(
        lab, write, lab.runs()[:1], conditions=lambda items: [(numbers[name], onsets) for name, onsets in items]
    )
    for number, (name, _) in enumerate(conditions_of(lab, lab.run()), start=1):
        write.nifti(named / f"beta_{number:04d}.nii", lab.images(lab.run())[name])
    with pytest.raises(
        FoolscanError, match=r"map 1: found 'cond5', which is no stim_id of stimuli.tsv; say what it is with --names"
    ):
        import_betas(lab.study, lab.folder, request(lab, named, ses="01", run="1"))
    table = write.tsv(lab.root / "names.tsv", ("name", "stim_id"), [[new, name] for name, new in numbers.items()])
    import_betas(lab.study, lab.folder, request(lab, named, ses="01", run="1", names=table))
    stored = np.asarray(nibabel.load(betas_path(lab.folder, lab.run())).dataobj)
    for row, name in enumerate(lab.stim_ids):
        np.testing.assert_array_equal(stored[..., row], lab.images(lab.run())[name])
    write.tsv(table, ("name", "stim_id"), [["cond9", lab.stim_ids[0]], *[[new, name] for name, new in numbers.items()]])
    with pytest.raises(FoolscanError, match=r"names\.tsv:2: name: found 'cond9', which the source does not have"):
        import_betas(lab.study, lab.folder, request(lab, named, ses="01", run="1", names=table))


def test_a_condition_that_is_no_image_is_left_out_when_the_table_says_so(lab: Any, write: SimpleNamespace) -> None:
    place = first_level(lab, write, lab.runs(), conditions=lambda items: [*items, ("blank", [0.5])])
    with pytest.raises(FoolscanError, match=r"found 'blank', which is no stim_id"):
        import_betas(lab.study, lab.folder, request(lab, place))
    table = write.tsv(lab.root / "names.tsv", ("name", "stim_id"), [["blank", "n/a"]])
    done = import_betas(lab.study, lab.folder, request(lab, place, names=table))
    lab.expect_images()
    assert "Sn(1) blank*bf(1)" in done[0].left_out


def test_single_trials_are_numbered_in_the_table(lab: Any, write: SimpleNamespace) -> None:
    """Least squares all: one condition per trial, each with one onset."""
    runs = lab.runs()
    place = lab.root / "spm"
    sessions, rows = [], []
    number = 0
    for run in runs:
        order, onsets_s = lab.order(run), lab.onsets_s(run)
        conditions = []
        for trial in np.random.default_rng(0).permutation(len(order)):
            conditions.append((f"trial{trial:02d}run{run.run}ses{run.ses}", [onsets_s[trial]]))
            rows.append([conditions[-1][0], order[trial], 1 + order[:trial].count(order[trial])])
            number += 1
            write.nifti(place / f"beta_{number:04d}.nii", lab.trials(run)[..., trial])
        sessions.append(conditions)
    names = [f"Sn({part}) {name}*bf(1)" for part, items in enumerate(sessions, start=1) for name, _ in items]
    files = [f"beta_{place:04d}.nii" for place in range(1, number + 1)]
    save_5(place / "SPM.mat", {"names": names, "files": files, "sessions": sessions, "basis": "hrf", "units": "secs"})
    table = write.tsv(lab.root / "names.tsv", ("name", "stim_id", "trial"), rows)
    done = import_betas(lab.study, lab.folder, request(lab, place, names=table))
    assert done[0].checked == "labels, trials, onsets"
    lab.expect_trials()
    write.tsv(table, ("name", "stim_id", "trial"), [*rows[:-1], [*rows[-1][:2], 3]])
    with pytest.raises(FoolscanError, match=r"found '\S+', trial 3; logged: 2 presentations"):
        import_betas(lab.study, lab.folder, request(lab, place, names=table))


def test_runs_end_to_end_are_one_session_with_one_clock(lab: Any, write: SimpleNamespace) -> None:
    """As spm_fmri_concatenate leaves them: one session, one regressor per trial, onsets that go on from run to run."""
    run_s = lab.study.scan.volumes * lab.study.scan.tr_s
    for single in (False, True):
        place = lab.root / f"spm-{single}"
        runs = [run for run in lab.runs() if run.ses == "01"]
        order = [name for run in runs for name in lab.order(run)]
        onsets_s = [number * run_s + onset for number, run in enumerate(runs) for onset in lab.onsets_s(run)]
        values = np.concatenate([lab.trials(run) for run in runs], axis=3)
        conditions: list[Condition] = []
        rows = []
        if single:
            for place_of, (name, onset) in enumerate(zip(order, onsets_s, strict=True)):
                conditions.append((f"t{place_of}", [onset]))
                rows.append([f"t{place_of}", name, 1 + order[:place_of].count(name)])
                write.nifti(place / f"beta_{place_of + 1:04d}.nii", values[..., place_of])
        else:
            for number, name in enumerate(lab.stim_ids, start=1):
                conditions.append(
                    (name, [onset for onset, other in zip(onsets_s, order, strict=True) if other == name])
                )
                write.nifti(place / f"beta_{number:04d}.nii", values[..., order.index(name)])
        told = {
            "names": [f"Sn(1) {name}*bf(1)" for name, _ in conditions],
            "files": [f"beta_{number:04d}.nii" for number in range(1, len(conditions) + 1)],
            "sessions": [conditions],
            "basis": "hrf",
            "units": "secs",
        }
        save_5(place / "SPM.mat", told)
        names = write.tsv(lab.root / "names.tsv", ("name", "stim_id", "trial"), rows) if single else None
        (done,) = import_betas(lab.study, lab.folder, request(lab, place, ses="01", run="all", names=names))
        assert done.stem == "sub-01_ses-01_task-animals_run-all"
        assert done.warnings == ()
        stored = np.asarray(nibabel.load(done.files[0]).dataobj)
        expected = values if single else np.stack([values[..., order.index(name)] for name in lab.stim_ids], axis=3)
        np.testing.assert_array_equal(stored, expected)


def test_sessions_in_another_order_are_recognised_by_their_onsets(lab: Any, write: SimpleNamespace) -> None:
    runs = lab.runs()
    place = first_level(lab, write, [runs[1], runs[0], *runs[2:]])
    with pytest.raises(
        FoolscanError, match=r"found an onset at [\d.]+ s; logged: '\S+' at [\d.]+ s \(sub-01\S+events\.tsv:\d+\)"
    ):
        import_betas(lab.study, lab.folder, request(lab, place))
    rows = [["01", "01", 2, 1], ["01", "01", 1, 2], ["01", "02", 1, 3], ["01", "02", 2, 4]]
    table = write.tsv(lab.root / "runs.tsv", ("sub", "ses", "run", "part"), rows)
    import_betas(lab.study, lab.folder, Request(place, "spm", UNITS, table=table))
    lab.expect_images()


def test_a_missing_session_asks_for_a_table(lab: Any, write: SimpleNamespace) -> None:
    place = first_level(lab, write, lab.runs()[:3])
    with pytest.raises(FoolscanError, match=r"found runs 1, 2, 3 in the source; asked for 4 .*--table"):
        import_betas(lab.study, lab.folder, request(lab, place))
    five = first_level(lab, write, [*lab.runs(), lab.run("02")])
    with pytest.raises(FoolscanError, match=r"found runs 1, 2, 3, 4, 5 in the source; asked for 2 .*, as 1, 2"):
        import_betas(lab.study, lab.folder, request(lab, five, ses="01"))


def without_last(items: list[Condition]) -> list[Condition]:
    return items[:-1]


def twice(items: list[Condition]) -> list[Condition]:
    return [*items, items[0]]


def not_shown(items: list[Condition]) -> list[Condition]:
    return [("RE-nothing", [1.0]), *items]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_last, r"found 5 maps and none of '\S+'; logged: \S+events\.tsv:\d+, 6 images"),
        (twice, r"map 7 of 7: found '\S+' a second time .*Are these single trials\?"),
        (not_shown, r"map 1: found 'RE-nothing', which is no stim_id"),
    ],
)
def test_the_first_condition_that_does_not_match_is_shown(
    lab: Any, write: SimpleNamespace, change: Callable[[list[Condition]], list[Condition]], words: str
) -> None:
    place = first_level(lab, write, lab.runs(), conditions=change)
    with pytest.raises(FoolscanError, match=words):
        import_betas(lab.study, lab.folder, request(lab, place))


def test_an_image_with_other_onsets_than_logged_is_shown(lab: Any, write: SimpleNamespace) -> None:
    place = first_level(lab, write, lab.runs(), conditions=lambda items: [(items[0][0], items[0][1][:1]), *items[1:]])
    with pytest.raises(FoolscanError, match=r"found 1 onsets; logged: 2 presentations \(first: \S+events\.tsv:\d+\)"):
        import_betas(lab.study, lab.folder, request(lab, place))


def test_what_is_missing_or_no_spm_mat_is_named(lab: Any, write: SimpleNamespace) -> None:
    place = first_level(lab, write, lab.runs())
    (place / "beta_0003.nii").rename(place / "elsewhere")
    with pytest.raises(FoolscanError, match=r"beta_0003\.nii: no such file, which SPM\.mat names"):
        import_betas(lab.study, lab.folder, request(lab, place))
    content = (place / "SPM.mat").read_bytes()
    for bad, words in (
        (b"", "0 bytes"),
        (content[:700], "not readable as a MATLAB file"),
        (b"MATLAB 5.0 nothing" * 20, "MATLAB"),
    ):
        (place / "SPM.mat").write_bytes(bad)
        with pytest.raises(FoolscanError, match=words):
            import_betas(lab.study, lab.folder, request(lab, place))
    savemat(place / "SPM.mat", {"SPM": {"xX": {"name": objects(["Sn(1) a*bf(1)"])}}})
    with pytest.raises(FoolscanError, match=r"found no SPM\.Vbeta; expected the SPM\.mat of an estimated"):
        import_betas(lab.study, lab.folder, request(lab, place))
    with pytest.raises(FoolscanError, match="no such file"):
        import_betas(lab.study, lab.folder, request(lab, lab.root / "nowhere"))


def test_betas_on_different_grids_are_refused(lab: Any, write: SimpleNamespace) -> None:
    place = first_level(lab, write, lab.runs())
    write.nifti(place / "beta_0002.nii", np.ones((5, 4, 4)))
    with pytest.raises(FoolscanError, match=r"beta_0002\.nii: found a grid of 5x4x4 voxels"):
        import_betas(lab.study, lab.folder, request(lab, place))


def test_one_beta_copied_over_another_is_noticed(lab: Any, write: SimpleNamespace) -> None:
    place = first_level(lab, write, lab.runs())
    (place / "beta_0002.nii").write_bytes((place / "beta_0001.nii").read_bytes())
    with pytest.raises(FoolscanError, match=r"found the same values as"):
        import_betas(lab.study, lab.folder, request(lab, place))

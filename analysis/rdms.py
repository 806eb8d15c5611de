"""The verb `rdms`: from betas and activations to RDM files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from analysis import brain_rdms, network_rdms
from analysis.rdm import Rdm
from analysis.rdm_files import described_columns, write_dissimilarities, write_rdms
from analysis.reliability_maps import chosen_path, write_chosen
from analysis.rois.regions import region_files
from analysis.rois.sources import make_rois
from analysis.scaling_dependence import COLUMNS as SCALING_COLUMNS
from analysis.scaling_dependence import scaling_rows
from analysis.selection import CIRCULAR_NOTE
from analysis.stored_betas import all_betas, stored_betas
from protocols.dissimilarity_names import in_words
from protocols.folder import StudyFolder
from protocols.locks import exclusive
from protocols.manifest import Stimulus, read_manifest
from protocols.problems import FoolscanError, NotReady
from protocols.provenance import is_current, name_in, read_provenance, sha256_of, write_sidecar
from protocols.study import Study
from protocols.tables import write_table

Progress = Callable[[str, int, int], None]
Step = Callable[[Sequence[Stimulus]], list[Path]]

PACKAGES = ("numpy", "h5py", "nibabel")


def brain_path(folder: StudyFolder) -> Path:
    """RDMs of every ROI, subject and set."""
    return folder.derived("rdms") / "brain_rdms.h5"


def network_path(folder: StudyFolder) -> Path:
    """RDMs of every layer and set."""
    return folder.derived("rdms") / "network_rdms.h5"


def further_network_path(folder: StudyFolder, name: str) -> Path:
    """RDMs of another network that images were made against, by the name of its file of activations."""
    return folder.derived("rdms") / f"network_{name}_rdms.h5"


def scaling_path(folder: StudyFolder) -> Path:
    """The brain's similarities under every scaling and pooling."""
    return folder.derived("rdms") / "scaling_dependence.tsv"


def brain_inputs(study: Study, folder: StudyFolder) -> list[Path]:
    """The files that brain RDMs are made from: the manifest, and of every subject analysed `subject_inputs`.

    Raises NotReady naming a run that has events and no betas.
    """
    parts = [path for sub in brain_rdms.subjects_of(study, folder) for path in subject_inputs(study, folder, sub)]
    return [folder.manifest, *parts]


def subject_inputs(study: Study, folder: StudyFolder, sub: str) -> list[Path]:
    """Events, betas (with their noise) and masks of one subject: of the runs and the ROIs that are analysed, no others."""
    found: list[Path] = []
    for stored in stored_betas(study, folder, sub):
        found += [*(folder.events(run) for run in stored.runs), *stored.files.values(), stored.table]
        found += [stored.noise] if stored.noise is not None and stored.noise.exists() else []
    masks = [path for roi in study.analysis.rois for path in region_files(folder, sub, roi)]
    return sorted(path for path in [*found, *masks] if path.exists())


def has_betas(folder: StudyFolder) -> bool:
    """Whether betas have been estimated."""
    return bool(all_betas(folder))


def made_so_far(study: Study, folder: StudyFolder) -> tuple[bool, bool]:
    """Whether there are betas, and whether there are activations."""
    return has_betas(folder), network_rdms.activations_path(study, folder).exists()


def what_there_is(study: Study, folder: StudyFolder) -> tuple[bool, bool]:
    """Whether there are betas, and whether there are activations.

    Raises NotReady when there is neither.
    """
    brain, network = made_so_far(study, folder)
    if not brain and not network:
        raise NotReady(
            f"{folder.root}: neither betas nor activations yet; make them with: foolscan analysis betas STUDY --to "
            f"{folder.root}, and: foolscan stimuli activations STUDY --to {folder.root}"
        )
    return brain, network


def rdms(study: Study, folder: StudyFolder, progress: Progress | None = None) -> list[Path]:
    """Compute the RDMs of every stimulus set: per ROI (each subject, and voxels pooled) and per network layer.

    What there is gets analysed: betas, activations, or both. What is already right is left alone.

    study    : names voxels, scaling, dissimilarity, ROIs and layers.
    folder   : a study folder with betas, activations or both.
    progress : called with what is being made, how much is done and how much there is.

    Returns the files that stand: HDF5 that rsatoolbox loads, and tidy tables.
    Raises NotReady when there is neither, FoolscanError for what does not fit together.
    """
    return of_what_there_is(
        study,
        folder,
        network=lambda stimuli: _network(study, folder, stimuli, progress),
        brain=lambda stimuli: _brain(study, folder, stimuli, progress),
    )


def of_what_there_is(study: Study, folder: StudyFolder, *, network: Step, brain: Step) -> list[Path]:
    """Take the step for the network, for the brain, or both, while no other command writes this folder's RDMs.

    network, brain : from the manifest's images to the files that stand.

    Returns the files of both. Raises NotReady when there are neither betas nor activations.
    """
    stimuli = read_manifest(folder)
    has_brain, has_network = what_there_is(study, folder)
    # small products gain nothing from BLAS threads, and one thread rounds the same everywhere
    with exclusive(folder.derived("rdms"), "the RDMs of this study folder"), threadpool_limits(1, user_api="blas"):
        of_network = network(stimuli) if has_network else []
        return of_network + (brain(stimuli) if has_brain else [])


def runs_of(study: Study, folder: StudyFolder) -> list[str]:
    """The runs that are analysed, by their stems: those that have events."""
    return [run.stem for run in folder.runs(study.analysis.task)]


def parameters_of(study: Study, folder: StudyFolder) -> dict[str, Any]:
    """What shapes the brain's RDMs, the runs that they are of among it, for the sidecar."""
    of_comparing = {"bootstrap", "similarity", "further_similarities", "pairs", "models", "noise_ceilings", "tests"}
    plan = study.analysis.model_dump(mode="json", exclude={"layers", "glm"} | of_comparing)
    task = study.tasks[study.analysis.task]
    return plan | {
        "noise_normalisation": study.analysis.glm.noise_normalisation,
        "sets": list(task.sets),
        "presentation": task.presentation,
        "runs": runs_of(study, folder),
    }


def refuse_stale(study: Study, folder: StudyFolder) -> None:
    """Refuse the brain's RDMs where they are of other runs, files or choices than the folder and the study have now.

    Intervals are made from betas, and would be of something else than the RDMs that they stand beside.
    """
    path, again = brain_path(folder), "run foolscan analysis rdms again"
    record = read_provenance(path)
    before, now = list(record["parameters"].get("runs", [])), runs_of(study, folder)
    if before != now:
        gone, new = [run for run in before if run not in now], [run for run in now if run not in before]
        told = [f"without {', '.join(gone)}"] if gone else []
        told += [f"with {', '.join(new)}"] if new else []
        raise FoolscanError(
            f"{path}: RDMs of {len(before)} runs; the folder now has events of {len(now)}, {' and '.join(told)}: {again}"
        )
    parameters = parameters_of(study, folder)
    for name in sorted(set(parameters) | set(record["parameters"])):
        if parameters.get(name) != record["parameters"].get(name):
            raise FoolscanError(f"{path}: made before {name} of the study file was changed; {again}")
    inputs = {name_in(folder, item): sha256_of(item) for item in brain_inputs(study, folder)}
    for name in sorted(set(inputs) | set(record["inputs"])):
        if inputs.get(name) != record["inputs"].get(name):
            raise FoolscanError(f"{path}: made before {folder.root / name} was made or changed; {again}")


def warnings_for_sidecar(study: Study, folder: StudyFolder) -> dict[str, list[str]]:
    """``Warnings`` of what is made from brains' patterns; empty when there are none."""
    found = brain_rdms.warnings_of(study, folder)
    return {"Warnings": found} if found else {}


def _brain(study: Study, folder: StudyFolder, stimuli: Sequence[Stimulus], progress: Progress | None) -> list[Path]:
    plan, sets = study.analysis, study.tasks[study.analysis.task].sets
    subjects_there = brain_rdms.subjects_of(study, folder)
    for sub in subjects_there:
        make_rois(study, folder, sub)  # they are inputs
    path, inputs, parameters = brain_path(folder), brain_inputs(study, folder), parameters_of(study, folder)
    compared = parameters | {"similarity": plan.similarity, "pairs": [list(pair) for pair in plan.pairs]}
    chosen_tables = [chosen_path(folder, sub, roi) for roi in plan.rois for sub in subjects_there]
    tables = [_table_of(path), *chosen_tables]
    if _stand(folder, path, tables, inputs, parameters) and _stand(folder, scaling_path(folder), [], inputs, compared):
        return [path, _table_of(path), scaling_path(folder), *chosen_tables]
    measure = plan.dissimilarity
    found: list[Rdm] = []
    of_scaling: list[dict[str, Any]] = []
    categories: tuple[str, ...] = ()
    voxels = {}
    for done, roi in enumerate(plan.rois):
        _tell(progress, f"RDMs of {roi}", done, len(plan.rois))
        subjects = brain_rdms.load_subjects(study, folder, roi)
        chosen = brain_rdms.choose(plan, subjects)
        for sample in brain_rdms.samples_of(plan, sets, chosen):
            found += brain_rdms.rdms_of(sample, measure, plan.folds).values()
            found += [rdm for halves in brain_rdms.half_rdms_of(sample, measure, plan.folds).values() for rdm in halves]
            categories = sample.categories
            voxels[f"{roi} {sample.subject}"] = sample.n_voxels
        for subject in chosen:
            of_subject = [folder.manifest, *subject_inputs(study, folder, subject.patterns.sub)]
            write_chosen(folder, subject.patterns, subject.selections, of_subject, parameters)
        of_scaling += scaling_rows(plan, sets, subjects)
    _tell(progress, "", len(plan.rois), len(plan.rois))
    note = f"mean pattern over runs, {in_words(measure)}, scaling {plan.pattern_scaling}, pooling {plan.pooling}"
    if plan.voxels.circular:
        note += f"; {CIRCULAR_NOTE}"
    warned = warnings_for_sidecar(study, folder)
    more: dict[str, Any] = {"Description": f"RDMs per ROI, subject and stimulus set: {note}", "Voxels": voxels} | warned
    both = _write(folder, path, found, _rows(categories, stimuli), note, inputs, parameters, more)
    write_table(scaling_path(folder), SCALING_COLUMNS, of_scaling)
    more = {name: {"Description": words} for name, words in SCALING_COLUMNS.items()} | warned
    write_sidecar(folder, scaling_path(folder), inputs=inputs, parameters=compared, packages=PACKAGES, more=more)
    return [*both, scaling_path(folder), *chosen_tables]


def _network(study: Study, folder: StudyFolder, stimuli: Sequence[Stimulus], progress: Progress | None) -> list[Path]:
    """RDMs of the study's network, and of the others that its images were made against, as far as they have whole sets."""
    sets = study.tasks[study.analysis.task].sets
    source = network_rdms.activations_path(study, folder)
    layers = network_rdms.layers_of(study, source)
    written = _layers(study, folder, stimuli, source, network_path(folder), layers, sets, progress)
    for other in network_rdms.further_activations(study, folder):
        whole, layers = network_rdms.sets_in(other, stimuli, sets), network_rdms.layers_in(study, other)
        if whole and layers:
            target = further_network_path(folder, other.stem)
            written += _layers(study, folder, stimuli, other, target, layers, whole, progress)
    return written


def _layers(
    study: Study,
    folder: StudyFolder,
    stimuli: Sequence[Stimulus],
    source: Path,
    path: Path,
    layers: Sequence[str],
    sets: Sequence[str],
    progress: Progress | None,
) -> list[Path]:
    """RDMs of every layer and set of one file of activations."""
    measure, inputs = network_rdms.measure_of(study), [folder.manifest, source]
    parameters = {"dissimilarity": measure, "layers": list(layers), "sets": list(sets)}
    if _stand(folder, path, [_table_of(path)], inputs, parameters):
        return [path, _table_of(path)]
    found: list[Rdm] = []
    units = {}
    for done, layer in enumerate(layers):
        _tell(progress, f"RDMs of {source.stem} {layer}", done, len(layers))
        sample = network_rdms.load_layer(source, layer, stimuli, sets)
        found += network_rdms.rdms_of(sample, measure).values()
        units[layer] = sample.n_units
    _tell(progress, "", len(layers), len(layers))
    categories = [image.category for image in network_rdms.images_by_category(stimuli, sets)[sets[0]]]
    note = f"activations of all units of a layer of {source.stem}, {in_words(measure)}"
    more = {"Description": f"RDMs per layer and stimulus set: {note}", "Units": units}
    return _write(folder, path, found, _rows(categories, stimuli), note, inputs, parameters, more)


def _stand(
    folder: StudyFolder, path: Path, beside: Sequence[Path], inputs: Sequence[Path], parameters: Mapping[str, Any]
) -> bool:
    """Whether a file was made from these inputs with these parameters, and those made with it are there."""
    return all(other.exists() for other in beside) and is_current(folder, path, inputs, parameters)


def _rows(categories: Sequence[str], stimuli: Sequence[Stimulus]) -> dict[str, list[str]]:
    supercategory = {stimulus.category: stimulus.supercategory for stimulus in stimuli}
    return {"category": list(categories), "supercategory": [supercategory[category] for category in categories]}


def _write(
    folder: StudyFolder,
    path: Path,
    found: Sequence[Rdm],
    rows: Mapping[str, Sequence[str]],
    note: str,
    inputs: Sequence[Path],
    parameters: Mapping[str, Any],
    more: Mapping[str, Any],
) -> list[Path]:
    table = write_dissimilarities(_table_of(path), found)
    described = dict(more) | described_columns(found)
    write_sidecar(folder, table, inputs=inputs, parameters=parameters, packages=PACKAGES, more=described)
    write_rdms(path, found, rows, note)
    write_sidecar(folder, path, inputs=inputs, parameters=parameters, packages=PACKAGES, more=more)
    return [path, table]


def _table_of(path: Path) -> Path:
    return path.with_name(path.stem.replace("_rdms", "_dissimilarities") + ".tsv")


def _tell(progress: Progress | None, what: str, done: int, total: int) -> None:
    if progress:
        progress(what, done, total)

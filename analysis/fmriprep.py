"""What fMRIPrep left of a run: its preprocessed images and its confounds."""

from __future__ import annotations

from pathlib import Path

from protocols.folder import RunId, StudyFolder
from protocols.problems import FoolscanError

SPACE = "T1w"  # the space in which all runs and sessions of a subject lie on one grid


def derived_file(folder: StudyFolder, run: RunId, suffix: str) -> Path:
    """``derivatives/fmriprep/sub-*/ses-*/func/<stem>_<suffix>``."""
    func = folder.root / "derivatives" / "fmriprep" / f"sub-{run.sub}" / f"ses-{run.ses}" / "func"
    return func / f"{run.stem}_{suffix}"


def find_bold(folder: StudyFolder, run: RunId) -> Path | None:
    """The run's images: fMRIPrep's ``desc-preproc_bold`` where it has them, else those in the study folder; None without either.

    Where both stand, the study folder's are what the scanner gave and fMRIPrep realigned. Of fMRIPrep's, those in the T1w
    space are taken, else the only ones there are.

    Raises FoolscanError when fMRIPrep left several and none in the T1w space.
    """
    preferred = derived_file(folder, run, f"space-{SPACE}_desc-preproc_bold.nii.gz")
    found = sorted(preferred.parent.glob(f"{run.stem}_*desc-preproc_bold.nii.gz"))
    if preferred in found:
        return preferred
    if len(found) > 1:
        raise FoolscanError(
            f"{preferred.parent}: found {', '.join(path.name for path in found)} and none in space {SPACE}; leave the one "
            "that lies on the grid of the masks, with its sidecar, and move the others elsewhere"
        )
    if found:
        return found[0]
    return folder.bold(run) if folder.bold(run).is_file() else None


def find_brain_mask(folder: StudyFolder, sub: str) -> Path | None:
    """FMRIPrep's brain mask of the subject's first run that has one, in the T1w space where there are several; None without one."""
    root = folder.root / "derivatives" / "fmriprep" / f"sub-{sub}"
    found = sorted(root.glob("ses-*/func/*_desc-brain_mask.nii.gz"))
    preferred = [path for path in found if f"_space-{SPACE}_" in path.name]
    return next(iter(preferred or found), None)

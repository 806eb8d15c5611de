"""What making stimuli needs of this machine: a device for the networks, their weights, the array formats."""

from __future__ import annotations

import importlib.util
import os
import shutil
from importlib import resources
from pathlib import Path

from protocols.doctor import Finding, is_installed, not_installed


def probes() -> list[Finding]:
    """The GPU, the weights of the networks, the formats activations are written in, and what a cluster needs."""
    return [device(), embedded_weights(), torchvision_weights(checkpoints_folder()), array_formats(), cluster()]


def device() -> Finding:
    """What the networks run on, as PyTorch sees it (imports torch: some seconds)."""
    if not is_installed("torch"):
        return not_installed("GPU", "torch", "stimuli")
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding(
            "GPU", "missing", f"PyTorch does not load: {error}", "pip install --force-reinstall torch torchvision"
        )
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        what = f"{properties.name}, {properties.total_memory / 1024**3:.0f} GiB (PyTorch {torch.__version__})"
        return Finding("GPU", "ok", what)
    if torch.backends.mps.is_available():
        return Finding("GPU", "ok", f"Apple GPU (PyTorch {torch.__version__})")
    return Finding(
        "GPU",
        "limited",
        f"none: the networks run on the processor, {torch.get_num_threads()} threads (PyTorch {torch.__version__})",
        "enough for the demo study; AlexNet-sized synthesis wants a CUDA or Apple GPU and its driver",
    )


def embedded_weights() -> Finding:
    """The weights of PictureNet, which come with the software."""
    folder = resources.files("stimuli").joinpath("networks", "weights")
    shipped = [item.name for item in folder.iterdir() if item.name.endswith(".safetensors")] if folder.is_dir() else []
    if shipped:
        return Finding("weights: picturenet", "ok", ", ".join(sorted(shipped)))
    return Finding(
        "weights: picturenet",
        "missing",
        "the trained weights are not in this installation",
        "reinstall foolscan, or train them: foolscan stimuli train",
    )


def checkpoints_folder() -> Path:
    """Where torchvision keeps downloaded weights: TORCH_HOME, else XDG_CACHE_HOME/torch, else ~/.cache/torch."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(os.environ.get("TORCH_HOME", cache / "torch")) / "hub" / "checkpoints"


def torchvision_weights(folder: Path) -> Finding:
    """Weights of torchvision's networks (alexnet, vgg16, …) that are on disk.

    folder : where to look.
    """
    found = sorted(path.name for path in folder.glob("*.pth")) if folder.is_dir() else []
    if found:
        return Finding("weights: torchvision", "ok", f"{', '.join(found)} in {folder}")
    return Finding(
        "weights: torchvision",
        "limited",
        f"none in {folder}",
        "AlexNet and others are downloaded there on first use; without a network, copy the .pth file there or give "
        "`weights: path.pt` in the study file",
    )


def array_formats() -> Finding:
    """The libraries that write activations and maps."""
    absent = [name for name in ("h5py", "safetensors", "scipy", "zarr") if importlib.util.find_spec(name) is None]
    if absent:
        return not_installed("array formats", ", ".join(absent), "stimuli")
    return Finding("array formats", "ok", "HDF5, Zarr, safetensors")


def cluster() -> Finding:
    """What reads fragile recognition's windows on several GPUs or machines; one process needs none of it."""
    absent = [name for name in ("distributed", "dask_jobqueue", "bokeh") if importlib.util.find_spec(name) is None]
    if absent:
        what = f"{', '.join(absent)} not installed: `stimuli fragile` computes in one process"
        return Finding("cluster", "limited", what, "pip install 'foolscan[cluster]'")
    jobs = "jobs of SLURM" if shutil.which("sbatch") else "no sbatch here: no jobs of SLURM"
    return Finding("cluster", "ok", f"Dask on this machine or at an address; {jobs}")

"""What the analysis needs of this machine: the neuroimaging libraries and a place to draw figures."""

from __future__ import annotations

from protocols.doctor import Finding, is_installed, not_installed

LIBRARIES = ("h5py", "jinja2", "matplotlib", "nibabel", "nilearn", "pandas", "scipy")


def probes() -> list[Finding]:
    """The libraries for images, models and figures."""
    return [libraries(), figures()]


def libraries() -> Finding:
    """Reading NIfTI, first-level models, tables and figures."""
    absent = [name for name in LIBRARIES if not is_installed(name)]
    if absent:
        return not_installed("analysis", ", ".join(absent), "analysis")
    return Finding("analysis", "ok", "NIfTI, GLM, HDF5, figures")


def figures() -> Finding:
    """The font that figures are drawn with (matplotlib brings one of its own)."""
    if not is_installed("matplotlib"):
        return not_installed("fonts: figures", "matplotlib", "analysis")
    from matplotlib import font_manager

    properties = font_manager.FontProperties(family=["sans-serif"])
    return Finding("fonts: figures", "ok", font_manager.get_font(font_manager.findfont(properties)).family_name)

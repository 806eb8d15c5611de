"""Regions of interest: masks and surface labels, one for each subject and region, checked against one another."""

from __future__ import annotations

from analysis.rois.checks import RoiCheck as RoiCheck
from analysis.rois.checks import check_rois as check_rois
from analysis.rois.loading import load_rois as load_rois
from analysis.rois.loading import load_surface_rois as load_surface_rois
from analysis.rois.masks import read_mask as read_mask
from analysis.rois.masks import roi_path as roi_path
from analysis.rois.masks import write_mask as write_mask
from analysis.rois.sources import make_rois as make_rois

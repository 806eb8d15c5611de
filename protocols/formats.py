"""The versions of the files in which two rooms meet; each file carries its own as ``format``."""

from __future__ import annotations

ACTIVATIONS = 1  # derivatives/foolscan/activations/<network>.h5: stimuli writes, analysis reads
REFERENCES = 1  # derivatives/foolscan/activations/<network>_references.h5: stimuli writes, analysis reads
SCREEN_IMAGES = 1  # derivatives/foolscan/screen/<rig>/export.json: stimuli writes, experiment reads
DESIGN = 1  # derivatives/foolscan/timeline/<run>_design.tsv and .json: experiment writes, analysis reads
CROPS = 1  # stimuli/crops/crops.tsv and .json: stimuli writes, experiment reads
ANSWERS = 1  # derivatives/foolscan/answers/<task>.tsv, <task>_sessions.tsv and .json: experiment writes, analysis reads
ONLINE = 1  # derivatives/foolscan/online/: the crowd task's database; experiment writes and reads

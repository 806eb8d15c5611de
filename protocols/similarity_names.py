"""The measures of how alike two RDMs are, by the names that a study file gives them."""

from __future__ import annotations

from typing import Literal

Similarity = Literal["pearson", "spearman", "kendall_tau_a", "rho_a", "cosine", "whitened_pearson", "whitened_cosine"]

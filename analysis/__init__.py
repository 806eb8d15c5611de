"""Measures: betas, patterns, representational dissimilarity matrices, similarity, reports."""

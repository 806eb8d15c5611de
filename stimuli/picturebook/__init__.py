"""A picture book of forty categories, drawn by small parametric functions."""

"""CARRY: a study to the stimulus PC, which has no network, and its runs back."""

"""First-level models: designs, haemodynamic responses, solvers and noise."""

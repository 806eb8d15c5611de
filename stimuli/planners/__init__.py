"""Recipes as jobs for the engine: each planner says how one kind of image is begun, gone on with, and judged."""

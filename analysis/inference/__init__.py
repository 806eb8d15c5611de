"""How sure a similarity is: resampling, tests, trends, ceilings and models."""

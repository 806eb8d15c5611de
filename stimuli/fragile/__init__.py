"""Fragile recognition: where in a picture a network's recognition breaks when the view moves or shrinks by a pixel or two."""

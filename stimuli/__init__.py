"""Make: networks, image synthesis, stimulus sets, activations."""

"""From counts to a posterior: the PyMC model, lattices, and the samplers."""

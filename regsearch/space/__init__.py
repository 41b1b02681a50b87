"""Spaces and configs: the tree, what its fields admit, how it is sampled, stored and named."""

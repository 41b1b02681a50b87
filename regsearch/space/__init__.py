"""Spaces and configs: trees of nodes, sampled, written, named."""

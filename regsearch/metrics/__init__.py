"""Scores and their statistics."""

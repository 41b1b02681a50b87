"""Recorded searches, and what is decided from them; see `benchmarks/replay.py`."""

"""The version, for those who write it down: importing it loads nothing else."""

__version__ = "0.1.0"

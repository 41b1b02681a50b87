"""The search: a study, its loop and its run."""

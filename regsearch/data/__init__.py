"""The data of a study: the problem, its folds, its columns and their encoding."""

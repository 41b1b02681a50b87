"""The data of a study: problem, folds, columns and their encoding."""

"""What a study writes: Optuna's storage, which is the truth, and arrays beside it."""

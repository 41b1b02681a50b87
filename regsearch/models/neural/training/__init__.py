"""The training of many nets at once: a stack of (trial, fold) rows."""

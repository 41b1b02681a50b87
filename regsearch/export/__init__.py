"""What ships: bundles, plain code, serving."""

"""The files that a net is written to."""

TENSORS, PREPARE = "net.safetensors", "prepare.skops"

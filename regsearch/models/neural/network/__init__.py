"""The stacked network: layers, loss, data, random streams."""

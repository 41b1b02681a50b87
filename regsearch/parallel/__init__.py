"""Workers, here or on a cluster: a backend that hands candidates to the backends of other processes."""

"""What is done to studies, options and bundles to see that nothing is lost and nothing ends in a traceback."""

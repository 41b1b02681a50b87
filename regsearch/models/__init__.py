"""The families of models that can be searched, and what a trial of one is: a path."""

"""The families of models that can be searched; a trial of one is a path."""

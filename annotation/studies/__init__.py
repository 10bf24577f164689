"""A study from its file to its closing: manifest, lifecycle, progress, imported scores."""

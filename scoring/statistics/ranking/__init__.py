"""Rankings of two or more models: by the votes of people, by a metric, and how far the two agree."""

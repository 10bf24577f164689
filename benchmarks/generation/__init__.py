"""Measure making images: `python -m benchmarks.generation`."""

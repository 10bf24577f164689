"""Faults of a study file, which no study may have."""

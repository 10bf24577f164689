"""Faults and warnings of a study."""

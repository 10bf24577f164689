"""The results of a pilot, for the study that it is a pilot of."""

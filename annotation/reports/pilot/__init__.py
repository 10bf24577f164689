"""What a pilot says about the study that it is a pilot of."""

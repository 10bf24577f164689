"""Studies as a whole: how large one must be, when it may stop, and several together."""

"""Which votes the rules of a study exclude."""

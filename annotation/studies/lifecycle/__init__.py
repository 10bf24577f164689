"""A study from its creation to its deletion: states, actions of staff, periodic work."""

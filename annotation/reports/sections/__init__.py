"""Values of a report -> printed blocks."""

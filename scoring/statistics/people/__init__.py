"""Statistics about the people who vote: their agreement, their skill and their bias."""

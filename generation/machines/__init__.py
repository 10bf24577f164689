"""Worker processes and their devices: signs of life, cards that fail, and which jobs each may take."""

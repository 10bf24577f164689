"""Many annotators at once against the real server: votes a second, waiting times, and whether every vote is right."""

"""Many annotators at once on the real server: votes a second, waiting times, and whether every vote is stored."""

"""Every formula against published numbers, independent libraries, and what must not matter."""

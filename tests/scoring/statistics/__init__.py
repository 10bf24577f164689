"""Every formula, tested against published numbers, independent libraries and invariances."""

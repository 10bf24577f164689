"""The findings of a report, one module each: a frozen value, and the function that computes it from arrays."""

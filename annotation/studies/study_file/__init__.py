"""Read a study file, name the line of every fault, write it, and describe it as a JSON Schema."""

"""How often the report's intervals hold the truth, in simulated studies."""

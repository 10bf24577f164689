"""The study file: read it, write it, and name the line of every fault."""

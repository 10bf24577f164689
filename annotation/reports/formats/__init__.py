"""Printed blocks -> HTML, LaTeX, text, JSON, CSV."""

"""The documents of docs/ as pages: rendered, with contents, and searched."""

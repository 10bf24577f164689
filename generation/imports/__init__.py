"""Import images that were made elsewhere."""

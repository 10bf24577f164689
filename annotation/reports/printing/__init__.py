"""The means by which sections are printed: blocks, numbers, names and phrases as a reader sees them."""

"""What sections are printed with: blocks, numbers, names and phrases as a reader sees them."""

"""Record images with their files and renditions, find lost ones, and verify all of them."""

"""Several studies together: what their replay bundles say in common."""

"""The rights to open a page, the limits on how often, and the signed tokens in addresses."""

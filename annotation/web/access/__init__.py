"""Who may open a page, how often, and the signed tokens in addresses."""

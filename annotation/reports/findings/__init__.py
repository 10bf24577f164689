"""What a report finds beyond the headline, one subject a module: frozen values, and how arrays give them."""

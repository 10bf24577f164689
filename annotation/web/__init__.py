"""The pages of annotators and researchers, and the JSON API."""

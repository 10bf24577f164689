"""The replay bundle: everything that a report is made from, as one archive."""

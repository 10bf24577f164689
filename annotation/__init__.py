"""Studies, comparisons, votes, reports; the web pages and the API."""

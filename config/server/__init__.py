"""A gunicorn worker whose threads never wait for a client; see docs/decisions/2026-11-28-slow-clients.md."""

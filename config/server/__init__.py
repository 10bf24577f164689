"""A gunicorn worker whose threads never wait for a client: docs/decisions/2026-11-28-slow-clients.md says why."""

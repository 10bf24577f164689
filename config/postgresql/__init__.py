"""Django's PostgreSQL backend with fast failure and reconnection if the server goes away."""

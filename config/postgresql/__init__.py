"""Django's PostgreSQL backend for a server that may go away: nobody waits for it in line, and it is found again."""

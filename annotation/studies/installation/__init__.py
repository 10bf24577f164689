"""What the admins of an installation look after: accounts, models, jobs, and the disk."""

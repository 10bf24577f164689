"""The things that the admins of an installation manage: accounts, models, jobs, and the disk."""

"""The admins' pages: models, workers, jobs, accounts and storage of the installation."""

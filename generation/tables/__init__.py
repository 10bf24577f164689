"""Read tables and JSON that other people wrote, and print the tables of commands."""

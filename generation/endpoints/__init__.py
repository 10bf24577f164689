"""Generators outside: HTTP endpoints and commands that the admin defines in a file on the worker, under names."""

ENDPOINT_NAME = r"^[a-z0-9][a-z0-9_.-]*$"  # no address, path or command: a study file names an endpoint by it

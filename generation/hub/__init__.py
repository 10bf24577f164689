"""Fetch checkpoints and LoRAs from the hub into its cache: exactly the files that are used, resumable, verified."""

"""The files that a model is made of: the names of checkpoints and LoRAs, and the choice and hashes of their files."""

"""Studies: the study file, the manifest, validation, the lifecycle, imports and planning."""

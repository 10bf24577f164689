"""Load diffusion pipelines and attach LoRAs. The only package that imports diffusers."""

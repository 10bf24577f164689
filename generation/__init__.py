"""Prompt, diffusion model and seeds -> image set. Knows no score, no study, no vote."""

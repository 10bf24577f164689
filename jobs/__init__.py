"""Jobs under a lease, refusals, and files that are written whole: what generation, scoring and annotation stand on."""

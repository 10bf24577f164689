"""What the performance table is made with; run one as `python -m benchmarks.<name>`."""

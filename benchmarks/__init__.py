"""The benchmarks behind the performance table; run one as `python -m benchmarks.<name>`."""

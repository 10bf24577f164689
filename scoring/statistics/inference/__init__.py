"""What every statistic stands on: estimates, intervals, clusters, random signs."""

"""The foundation of every statistic: estimates, intervals, clusters, random signs."""

"""Image set -> embeddings -> Semantic Consistency Score, and the statistics. Knows no study, no vote."""

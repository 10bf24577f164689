"""Image set -> embeddings -> Semantic Consistency Score. Knows no study, no vote."""

"""The models that see images: encoders give embeddings, comparers give distances of pairs."""

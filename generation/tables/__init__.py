"""Read tables that other people wrote: CSV, JSON Lines and Parquet."""

"""The results of a study on pages: the report and the explorer."""

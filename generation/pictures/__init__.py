"""Read image files, convert their pixels, and make what annotators are served."""

"""Sections about the scores and the images behind them."""

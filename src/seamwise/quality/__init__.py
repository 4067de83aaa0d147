"""Judging models and data by statistics: the gate, its bootstrap, drift and domain guesses; pure functions."""

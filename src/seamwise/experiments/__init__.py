"""Streams of domains, comparisons of strategies, and their reports; needs no database."""

"""Simulated welds: physics first, deterministic by seed, with exact masks."""

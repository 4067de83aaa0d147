"""Images in, masks out: reading, tiles, networks, losses, scores, domains and simulated welds."""

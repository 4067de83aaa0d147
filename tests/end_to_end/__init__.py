"""The whole platform in its own processes, asked over HTTP."""

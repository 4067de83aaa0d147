"""Layer 1, the web interface: the REST API over the use cases of `seamwise.app`."""

"""Facts about the metrics service."""

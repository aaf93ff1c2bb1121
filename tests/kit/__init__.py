"""Facts about how every process runs."""

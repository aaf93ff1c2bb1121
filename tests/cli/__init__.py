"""The operator's tool is tested here as an operator meets it."""

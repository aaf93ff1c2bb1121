"""The operator's tool: `motcua up`, `migrate`, `simulate`, `send`, `rates`, `client`, `rebuild`."""

"""The gateway: the one door to the system, which knows every client and passes on only what it may do."""

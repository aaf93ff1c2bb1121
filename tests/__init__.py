"""The facts about the system, each checked against a real PostgreSQL."""

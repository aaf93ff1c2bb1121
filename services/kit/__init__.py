"""How a process runs: clock, database, problems, observation, serving; no word of the domain stands here."""

"""Pure rules: what events make of a dossier, and when it is due."""

"""The dossier service: records what happened to dossiers and tells how each of them stands."""

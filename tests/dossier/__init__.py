"""Facts about the dossier service."""

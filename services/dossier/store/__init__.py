"""All SQL of the dossier service."""

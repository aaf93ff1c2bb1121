"""motcua: what happens to dossiers at one-stop counters is recorded, counted and served from here."""

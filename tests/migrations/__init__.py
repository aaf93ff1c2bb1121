"""Facts about the migrations."""

"""What one-stop software sends to the national portal becomes our events here, without anybody's personal data."""

"""What is deployed is tested as it is deployed."""

"""What is kept for reports and archives."""

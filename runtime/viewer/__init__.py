"""What is seen, looked at and answered, for Rerun's viewer."""

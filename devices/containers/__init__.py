"""Files of pictures and sound that others wrote."""

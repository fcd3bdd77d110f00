"""A page and an API: what the glasses see and what is answered, for browsers and programs."""

"""In how many bits graphs store matrices and multiply with them."""

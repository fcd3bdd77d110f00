"""What an emulated phone sends: a drawn card, a synthetic wearer, a recording."""

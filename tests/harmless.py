"""What may reach a terminal."""

JOINERS = str.maketrans("", "", "\u200c\u200d")  # of Persian words and of emoji: they move nothing


def is_line(text):
    """Whether a text is one line of characters that are shown."""
    return text.translate(JOINERS).isprintable()

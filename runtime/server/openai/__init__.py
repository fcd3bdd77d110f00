"""The API of OpenAI's chat completions, about the live stream or about pictures."""

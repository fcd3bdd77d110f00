"""The microphone of the glasses: AAC over RTP to dated pieces of sound."""

"""RTSP with a phone that may say anything: every answer is bounded, none takes the run down."""

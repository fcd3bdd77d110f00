"""Questions put to a bundle under either protocol, and the answers kept on disk."""

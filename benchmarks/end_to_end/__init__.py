"""From capture to residual and to token, at the rate of the sensors, whether or not it keeps up."""

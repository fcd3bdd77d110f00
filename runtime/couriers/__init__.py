"""What carries answers and alerts to other programs: webhooks, an MQTT broker."""

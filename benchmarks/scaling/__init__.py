"""What workers are worth on this machine, and what it costs to hand a unit to one."""

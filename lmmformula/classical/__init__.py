"""Classical analyses of designed experiments, in closed form where there is one."""

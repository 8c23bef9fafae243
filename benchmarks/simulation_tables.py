def publish(a,b): pass

"""Load generators. Outside the server's layers: they see the wire format and start the server as a process."""

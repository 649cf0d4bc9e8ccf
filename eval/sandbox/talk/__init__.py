"""How a walled-in program and its judge talk: plain data over a socket."""

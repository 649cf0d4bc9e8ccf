"""What runs behind the walls: the interpreter that is forked for each program, and the programs."""

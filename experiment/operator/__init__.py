"""What the operator sees: the live view of a run, and the board of a session; it only ever reads the journal."""

"""Recruiters: where people come from and how they are told that they are done; one interface, one module each."""

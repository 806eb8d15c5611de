"""Betas that another program estimated, matched to what was logged and stored as foolscan stores its own."""

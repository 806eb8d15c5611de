"""The task in the browser: who sees what, the server and its page, recruiters, what is stored and how it is given out."""

"""What a study is: study and rig files, their schema, and the layout of a study folder."""

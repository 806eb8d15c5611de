"""Shows studies: timelines, the participant's window, triggers, responses, journals."""

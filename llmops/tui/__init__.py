"""Eyes and the chat console: screens in the terminal over the store and a running serve."""

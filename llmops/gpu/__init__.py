"""What the card is doing; where there is none, what the machine is doing."""

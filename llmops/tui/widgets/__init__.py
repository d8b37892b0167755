"""Parts of screens; each shows one piece of an Overview and asks nobody."""

"""The files of the state directory on disks that are full, read-only, or open to other users."""

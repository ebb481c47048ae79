"""The daemon's environment: Docker, its containers and the disk, as a test declares them."""

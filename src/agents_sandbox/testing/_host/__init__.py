"""What is around the daemon: Docker, its containers and the disk, as a test declares them."""

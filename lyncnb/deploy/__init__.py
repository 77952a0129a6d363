"""Create packages and the deployment procedure for each server."""

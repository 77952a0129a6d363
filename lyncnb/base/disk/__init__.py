"""Write files and folders safely: complete, protected from other users, and with locks."""

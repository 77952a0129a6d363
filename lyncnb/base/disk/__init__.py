"""Write files and folders safely: completely, protected from other users, and with locks."""

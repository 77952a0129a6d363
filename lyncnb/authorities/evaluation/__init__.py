"""An issued certificate, judged: against its request, its predecessor, its CA and its roots."""

"""An issued certificate, evaluated: against its request, its predecessor, its CA and its roots."""

"""What a server shows to prove who it is: certificates that are given, or made here."""

"""What people answered online: recognition of crops and of the study's sets, gaps of pairs, who counted."""

"""Two analyses laid on each other, bone by bone, and what differs between them."""

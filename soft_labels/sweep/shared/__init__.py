"""What workers of one study share: storage, claims, heartbeats, a view in memory."""

"""Other repositories: profiles, tags, host scans and sources go there and come from there."""

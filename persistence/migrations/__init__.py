"""The schema's revisions (`sql/`, plain SQL with up and down) and the runner that applies them."""

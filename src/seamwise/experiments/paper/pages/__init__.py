"""What each figure's runs are shown as: a table beside the published figures, claims checked, a picture."""

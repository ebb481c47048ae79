"""The daemon's time: its clock, its work in the background, and how a test holds that back."""

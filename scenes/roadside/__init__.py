"""What grows, borders and stands on posts."""

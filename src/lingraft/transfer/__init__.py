"""The transfer lab: which donor language helps which recipient, by how much, why, and how surely."""

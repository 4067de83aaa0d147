"""Pictures for reports and documents: SVG and self-contained HTML from plain values."""

"""The paper's experiments, one short file each."""

"""Studies: one folder per paper. Each judges the paper's claims on the runs of a lab, with intervals and nulls."""

"""Cache metrics: a line for each request and daily totals, which outlive the traces."""

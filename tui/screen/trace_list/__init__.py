"""The parts of the pane Traces: columns, the strip of days, the chosen trace, and what is chosen by keys."""

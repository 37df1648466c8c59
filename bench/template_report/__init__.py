"""What the engine makes of chat templates: `python -m bench.template_report`."""

"""Two prompts compared: segment by segment, and line by line within one."""

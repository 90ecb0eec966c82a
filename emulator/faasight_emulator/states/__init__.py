"""Step Functions: state machines of a template, run as Amazon States Language says, over the functions beside them."""

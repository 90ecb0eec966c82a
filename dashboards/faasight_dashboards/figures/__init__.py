"""Pure functions from data to Plotly figures as plain dicts, testable without Dash."""

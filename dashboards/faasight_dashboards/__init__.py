"""The Dash app: pages, figures and components over the store."""

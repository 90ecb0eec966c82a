"""What a browser posts to `/_dash-update-component` to have a panel filled."""

ATTENTION = {  # "Needs attention" of the overview, which asks the store
    "output": "overview-attention.children",
    "outputs": {"id": "overview-attention", "property": "children"},
    "inputs": [
        {"id": "scope", "property": "data", "value": {"from": "now-3h", "to": "now"}},
        {"id": "tick", "property": "n_intervals", "value": 0},
    ],
    "changedPropIds": ["scope.data"],
}

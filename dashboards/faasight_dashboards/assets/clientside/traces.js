/* The list of traces: its cells, its filters in the address, and the box that opens a trace by its id. */
(() => {
  const make = (...parts) => React.createElement(...parts);
  const mark = (icon, kind, text) => make('span', { className: `badge b-${kind}` }, make('span', { className: `i i-${icon}` }), text);

  /* React escapes what it is given: names are hostile input. */
  Object.assign((window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {}), {
    TraceTime: ({ data }) => make('span', { className: 'mono', title: data.utc }, data.start),
    TraceName: ({ data }) => make('a', { className: 'trace-name', href: `/traces/${data.trace_id}` }, make('b', null, data.service), ' ', data.name),
    TraceDuration: ({ data }) => make('span', { className: 'trace-duration' },
      make('b', null, data.duration),
      make('u', null, make('i', { className: data.errors ? 'failed' : '', style: { width: `${Math.max(1, 100 * data.share)}%` } }))),
    TraceErrors: ({ value }) => (value ? mark('circle-x', 'error', value) : null),
    TraceCold: ({ value }) => (value ? mark('snowflake', 'cold', value) : null),
    TraceServices: ({ value }) => make('span', { className: 'muted', title: value }, value),
  });

  window.dash_clientside.traces = {
    keep(name, chosen, least) {
      faasight.setParams({
        function: name === '*' ? '' : name,
        errors: chosen?.includes('errors') ? '1' : '',
        cold: chosen?.includes('cold') ? '1' : '',
        min_ms: least || '',
      });
      return faasight.noUpdate();
    },
  };

  const box = () => document.getElementById('traces-id');

  document.addEventListener('keydown', event => {
    if (event.key !== 'Enter' || !box() || event.target !== box()) return;
    const id = box().value.trim().toLowerCase();
    if (/^[0-9a-f]{32}$/.test(id)) faasight.go(faasight.keep(`/traces/${id}`));
    else if (id) faasight.toast('A trace id has 32 hexadecimal digits');
  });

  // A click anywhere on a row opens it.
  document.addEventListener('click', event => {
    const row = event.target.closest('#traces-grid .ag-row');
    if (row && !event.target.closest('a') && !String(getSelection())) row.querySelector('a.trace-name')?.click();
  });
})();

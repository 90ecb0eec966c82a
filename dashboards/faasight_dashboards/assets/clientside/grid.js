/* Cells of the functions' grid. AG Grid's React renderers, written without a build step. */
(() => {
  const h = (...all) => React.createElement(...all);
  const percent = (share, digits) => `${(100 * share).toFixed(digits)}%`;
  const bar = (text, share, color, wide) => h('span', { className: 'bar' },
    h('b', { className: wide ? 'wide' : '' }, text),
    h('u', null, h('i', { style: { width: `${Math.max(0, Math.min(100, 100 * share))}%`, background: color } })));

  window.dashAgGridFunctions = Object.assign(window.dashAgGridFunctions || {}, { fmtMs: faasight.ms, fmtRate: faasight.rate, fmtUsd: faasight.usd, fmtCount: value => value.toLocaleString('en') });

  const W = 120;
  const H = 24;
  const spark = values => {
    const top = Math.max(1, ...values);
    const points = values.map((value, i) => `${(i * W / Math.max(1, values.length - 1)).toFixed(1)} ${(H - 2 - value / top * (H - 5)).toFixed(1)}`);
    return h('svg', { width: W, height: H, 'aria-hidden': true },
      h('path', { d: `M0 ${H}L${points.join('L')}L${W} ${H}`, fill: 'rgba(61,139,253,.14)' }),
      h('path', { d: `M${points.join('L')}`, fill: 'none', stroke: '#3d8bfd', strokeWidth: 1.4 }));
  };

  window.dashAgGridComponentFunctions = Object.assign(window.dashAgGridComponentFunctions || {}, {
    FunctionCell: ({ data, value }) => h('span', { className: 'fn', title: data.reasons },
      h('i', { className: `dot ${data.status}` }), h('a', { href: data.href }, value)),
    SparkCell: ({ value }) => value && value.length ? spark(value) : '–',
    BarCell: ({ value, max, color }) => value == null ? '–' : bar(percent(value, value && value < 0.1 ? 2 : 1), value / max, color),
    MemoryCell: ({ data, value }) => {
      if (value == null) return '–';
      if (!data.memory) return `${Math.round(value)} MB`;
      const share = value / data.memory;
      return bar(`${Math.round(value)} / ${data.memory} MB`, share, share > 0.9 ? 'var(--warn)' : 'var(--accent)', true);
    },
    HeadroomCell: ({ data, value }) => {
      if (value == null) return '–';
      const title = `longest ${faasight.ms(data.longest)} of ${faasight.ms(data.timeout)}`;
      return h('span', { title, style: { display: 'block', height: '100%' } }, bar(percent(value, 0), value, value < 0.1 ? 'var(--warn)' : 'var(--ok)'));
    },
  });
})();

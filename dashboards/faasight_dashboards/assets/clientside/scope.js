/* The range and environment: read from the address, changed in place, kept in the store `scope`. */
(() => {
  const UNITS = { s: 1e3, m: 6e4, h: 36e5, d: 864e5 };
  const NAMES = { s: 'second', m: 'minute', h: 'hour', d: 'day' };
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  let current = null;
  let fallback = 'now-3h';
  let typed = {};

  const fromAddress = () => {
    const params = faasight.params();
    return { from: params.get('from') || fallback, to: params.get('to') || 'now', env: params.get('env') || '', zone };
  };
  const same = (a, b) => a && b && a.from === b.from && a.to === b.to && a.env === b.env;

  /** A time of the address as milliseconds. */
  const instant = text => {
    const match = /^now(?:-(\d+)([smhd]))?$/.exec(text);
    if (match) return Date.now() - (match[1] ? Number(match[1]) * UNITS[match[2]] : 0);
    return Number(text);
  };
  const span = () => [instant(current.from), instant(current.to)];

  /** Look at something else: `{from, to, env}`, what is left out stays. */
  const set = changes => {
    const next = { ...current, ...changes };
    if (same(next, current)) return;
    current = next;
    faasight.setParams({ from: next.from, to: next.to, env: next.env });
    faasight.setProps('scope', { data: next });
  };
  const setAbsolute = (from, to) => set({ from: String(Math.round(Math.min(from, to))), to: String(Math.round(Math.max(from, to))) });

  const shift = direction => {
    const [from, to] = span();
    setAbsolute(from + direction * (to - from) / 2, to + direction * (to - from) / 2);
  };
  const zoomOut = () => {
    const [from, to] = span();
    const end = Math.min(to + (to - from) / 2, Date.now());
    setAbsolute(end - 2 * (to - from), end);
  };

  const label = scope => {
    const match = /^now-(\d+)([smhd])$/.exec(scope.from);
    if (match && scope.to === 'now') return `Last ${match[1]} ${NAMES[match[2]]}${match[1] === '1' ? '' : 's'}`;
    const [from, to] = [instant(scope.from), instant(scope.to)];
    const day = { month: 'short', day: 'numeric' };
    const time = { hour: '2-digit', minute: '2-digit', hour12: false, ...(to - from < 6e5 ? { second: '2-digit' } : {}) };
    const sameDay = new Date(from).toDateString() === new Date(to).toDateString();
    const write = (at, options) => new Date(at).toLocaleString('en', options);
    return `${write(from, { ...day, ...time })} – ${write(to, sameDay ? time : { ...day, ...time })}`;
  };

  faasight.scope = { get: () => current, set, setAbsolute, shift, zoomOut, span, instant };

  window.dash_clientside.scope = {
    read(_href, defaults) {
      fallback = (defaults && defaults.range) || fallback;
      const next = fromAddress();
      if (same(next, current)) return faasight.noUpdate();
      current = next;
      return next;
    },
    show(scope) {
      if (!scope) return [faasight.noUpdate(), faasight.noUpdate()];
      return [label(scope), scope.env || '*'];
    },
    environment(value) {
      if (current && value) set({ env: value === '*' ? '' : value });
      return faasight.noUpdate();
    },
    absolute(_clicks, from, to) {
      const context = window.dash_clientside.callback_context;
      typed = { from, to };
      if (context.triggered_id === 'range-apply' && typed.from && typed.to) {
        setAbsolute(new Date(typed.from.replace(' ', 'T')).getTime(), new Date(typed.to.replace(' ', 'T')).getTime());
        faasight.setProps('range-popover', { opened: false });
      }
      return faasight.noUpdate();
    },
    /* Plotly writes ranges as text in the viewer's zone: that is how the figures were made. */
    zoom() {
      for (const { value } of window.dash_clientside.callback_context.triggered) {
        if (!value) continue;
        const range = value['xaxis.range'] || [value['xaxis.range[0]'], value['xaxis.range[1]']];
        if (range[0] && range[1]) setAbsolute(new Date(String(range[0]).replace(' ', 'T')).getTime(), new Date(String(range[1]).replace(' ', 'T')).getTime());
      }
      return faasight.noUpdate();
    },
  };

  document.addEventListener('click', event => {
    const target = event.target.closest('[data-range],[data-shift],[data-zoom]');
    if (!target || !current) return;
    if (target.dataset.range) {
      set({ from: target.dataset.range, to: 'now' });
      faasight.setProps('range-popover', { opened: false });
    } else if (target.dataset.shift) shift(Number(target.dataset.shift));
    else zoomOut();
  });
  document.addEventListener('keydown', event => {
    if (event.key === 'Escape') for (const id of ['range-popover', 'refresh-popover']) faasight.setProps(id, { opened: false });
  });
  document.addEventListener('dblclick', event => {
    if (event.target.closest('.chart')) zoomOut();
  });
})();

/* What every script of ours uses: the address, the clock, words for numbers. Namespace `faasight`. */
window.dash_clientside = window.dash_clientside || {};
window.faasight = (() => {
  /** The address's query parameters. */
  const params = () => new URLSearchParams(location.search);

  /** Change query parameters in place ('' or null removes one). Dash hears nothing of it, so that no page is built anew. */
  const setParams = changes => {
    const url = new URL(location);
    for (const [name, value] of Object.entries(changes)) {
      if (value === '' || value == null) url.searchParams.delete(name);
      else url.searchParams.set(name, value);
    }
    history.replaceState(history.state, '', url);
  };

  /** Go to a page of ours without loading it from the start. */
  const go = href => {
    history.pushState({}, '', href);
    window.dispatchEvent(new CustomEvent('_dashprivate_pushstate'));
    window.scrollTo(0, 0);
  };

  const setProps = (id, props) => window.dash_clientside.set_props(id, props);

  const ms = value => {
    if (value == null) return '–';
    if (value === 0) return '0 ms';
    if (value < 1) return `${(value * 1000).toFixed(0)} µs`;
    if (value < 10) return `${value.toFixed(1)} ms`;
    if (value < 999.5) return `${value.toFixed(0)} ms`;
    if (value < 60000) return `${(value / 1000).toFixed(2)} s`;
    if (value < 3600000) return `${(value / 60000).toFixed(1)} min`;
    return `${(value / 3600000).toFixed(1)} h`;
  };

  /** 1234567 as 1.23M. */
  const number = value => {
    if (value == null) return '–';
    const size = Math.abs(value);
    for (const [limit, unit] of [[1e9, 'B'], [1e6, 'M'], [1e3, 'k']]) {
      if (size >= limit) return Number((value / limit).toPrecision(3)) + unit;
    }
    return size < 100 ? String(Number(value.toPrecision(3))) : value.toFixed(0);
  };

  /** A rate given per second, in the unit that reads best. */
  const rate = perSecond => {
    for (const [factor, unit] of [[1, 's'], [60, 'min'], [3600, 'h']]) {
      if (perSecond * factor >= 1) return `${number(perSecond * factor)}/${unit}`;
    }
    return perSecond ? `${number(perSecond * 86400)}/d` : '0/s';
  };

  /** US dollars, with enough digits for small ones to say something. */
  const usd = value => {
    if (value == null) return '–';
    if (value === 0) return '$0';
    if (value >= 1000) return `$${Math.round(value).toLocaleString('en')}`;
    if (value >= 0.1) return `$${value.toFixed(2)}`;
    return value >= 0.001 ? `$${value.toFixed(4)}` : `$${Number(value.toPrecision(2)).toFixed(7).replace(/0+$/, '')}`;
  };

  /** Say something short at the bottom of the screen. */
  const toast = text => {
    let box = document.getElementById('toast');
    if (!box) {
      box = document.createElement('div');
      box.id = 'toast';
      box.setAttribute('role', 'status');
      document.body.append(box);
    }
    box.textContent = text;
    box.classList.add('shown');
    clearTimeout(box.timer);
    box.timer = setTimeout(() => box.classList.remove('shown'), 2400);
  };

  /** What a clientside callback answers to change nothing; Dash brings it after our scripts. */
  const noUpdate = () => window.dash_clientside.no_update;

  return { noUpdate, params, setParams, go, setProps, ms, number, rate, usd, toast };
})();

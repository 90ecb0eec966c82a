/* Ctrl+K or `/`: search functions, traces and logs from anywhere. */
(() => {
  let dialog = null;
  let hits = [];
  let chosen = 0;
  let asked = 0;

  const element = (tag, className, text) => {
    const made = document.createElement(tag);
    made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const build = () => {
    dialog = element('dialog', 'palette');
    dialog.setAttribute('aria-label', 'Search');
    const input = element('input', 'palette-input');
    input.type = 'search';
    input.placeholder = 'A function, a trace id, or words of a log line';
    input.setAttribute('aria-label', 'Search functions, traces, logs');
    const list = element('div', 'palette-hits');
    dialog.append(input, list);
    document.body.append(dialog);
    input.addEventListener('input', () => ask(input.value));
    dialog.addEventListener('keydown', event => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) { event.preventDefault(); choose(chosen + step); }
      if (event.key === 'Enter' && hits[chosen]) { event.preventDefault(); leave(hits[chosen].href); }
    });
    dialog.addEventListener('click', event => { if (event.target === dialog) dialog.close(); });
  };

  const leave = href => { dialog.close(); faasight.go(faasight.keep(href)); };

  const choose = index => {
    chosen = Math.max(0, Math.min(hits.length - 1, index));
    [...dialog.querySelectorAll('.palette-hit')].forEach((row, at) => row.classList.toggle('chosen', at === chosen));
  };

  const show = () => {
    const rows = hits.map(hit => {
      const row = element('button', 'palette-hit');
      row.append(element('span', `i i-${hit.icon}`), element('span', 'palette-text', hit.text), element('span', 'muted', hit.kind));
      row.addEventListener('click', () => leave(hit.href));
      return row;
    });
    dialog.querySelector('.palette-hits').replaceChildren(...rows);
    choose(0);
  };

  const ask = async text => {
    const turn = ++asked;
    const env = faasight.params().get('env') || '';
    try {
      const response = await fetch(`/-/search?${new URLSearchParams({ q: text, env })}`);
      const found = response.ok ? await response.json() : [];
      if (turn === asked) { hits = found; show(); } // an answer that came late is not shown
    } catch {
      hits = [];
      show();
    }
  };

  const open = () => {
    if (!dialog) build();
    if (dialog.open) return;
    dialog.showModal();
    const input = dialog.querySelector('input');
    input.value = '';
    input.focus();
    ask('');
  };

  document.addEventListener('click', event => { if (event.target.closest('[data-palette]')) open(); });
  document.addEventListener('keydown', event => {
    const typing = event.target.closest && event.target.closest('input,textarea,select,[contenteditable=true]');
    const combination = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k';
    if (combination || (event.key === '/' && !typing)) { event.preventDefault(); open(); }
  });
})();

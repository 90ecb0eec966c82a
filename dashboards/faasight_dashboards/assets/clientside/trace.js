/* The trace page: mounts the waterfall, finds, copies, and keeps the chosen span in the address. */
(() => {
  let waterfall = null;
  let mounted = ''; // the trace on show

  const field = () => document.getElementById('trace-find');
  const say = text => {
    const place = document.getElementById('trace-found');
    if (place) place.textContent = text;
  };

  const chosen = span => {
    faasight.setParams({ span });
    faasight.setProps('trace-span', { data: span });
  };

  const copy = async text => {
    try {
      await navigator.clipboard.writeText(text);
      faasight.toast('OTLP/JSON copied');
    } catch { // no permission, or no secure origin: a file serves as well
      const link = document.createElement('a');
      link.href = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
      link.download = `trace-${mounted}.json`;
      link.click();
      URL.revokeObjectURL(link.href);
    }
  };

  window.dash_clientside.trace = {
    /* Draws a trace, or its new spans; what the viewer has folded and chosen stays when nothing is new. */
    mount(columns) {
      const root = document.getElementById('waterfall');
      if (!root || !columns) return faasight.noUpdate();
      const drawn = root.querySelector('.wf-viewport') !== null;
      if (drawn && mounted === columns.trace && waterfall.model.size === columns.start.length) return faasight.noUpdate();
      const selected = drawn && mounted === columns.trace ? faasight.params().get('span') : columns.selected;
      if (waterfall) waterfall.destroy();
      mounted = columns.trace;
      waterfall = new faasight.Waterfall(root, { ...columns, selected }, chosen);
      faasight.waterfall = waterfall;
      return faasight.noUpdate();
    },
    copy(text) {
      if (text) copy(text);
      return faasight.noUpdate();
    },
    logs(_clicks) {
      if (!waterfall) return faasight.noUpdate();
      return waterfall.toggleLogs() ? 'pill on' : 'pill';
    },
  };

  document.addEventListener('input', event => {
    if (event.target !== field() || !waterfall) return;
    const count = waterfall.find(event.target.value);
    say(event.target.value.trim() ? `${count} found` : '');
  });

  document.addEventListener('keydown', event => {
    if (!waterfall || event.target !== field()) return;
    if (event.key === 'Enter') {
      const at = waterfall.nextMatch(event.shiftKey ? -1 : 1);
      say(`${at} of ${waterfall.matches.length}`);
    } else if (event.key === 'Escape') {
      faasight.setProps('trace-find', { value: '' });
      waterfall.find('');
      say('');
      waterfall.viewport.focus();
    }
  });
})();

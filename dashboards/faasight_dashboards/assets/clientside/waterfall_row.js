/* One row of the waterfall as DOM. Names are hostile input: they only ever become text nodes, never markup. */
(() => {
  const PALETTE = 10; // colours --wf-0 to --wf-9 of trace.css
  const INDENT = 13, FIRST_INDENT = 8;
  const LABEL_FITS = 12; // percent: a bar so wide has room for its duration
  const LABEL_FLIPS_AT = 86; // percent: beyond it a bar's duration stands on its left

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function icon(name, className, title) {
    const made = element('span', `i i-${name} ${className}`);
    made.title = title;
    return made;
  }

  const percent = (view, time) => ((time - view.from) / (view.to - view.from)) * 100;

  /* `view`: {from, to} in microseconds. */
  function row(model, i, view) {
    const made = element('div', 'wf-row');
    made.dataset.row = i;
    made.setAttribute('role', 'row');
    made.setAttribute('aria-level', model.depth[i] + 1);
    made.style.setProperty('--wf-color', `var(--wf-${model.service[i] % PALETTE})`);
    if (model.isLog(i)) made.classList.add('wf-log');
    made.append(nameCell(model, i), timeCell(model, i, view));
    return made;
  }

  function nameCell(model, i) {
    const flag = faasight.TRACE_FLAG;
    const cell = element('div', 'wf-name');
    cell.style.paddingLeft = `${FIRST_INDENT + model.depth[i] * INDENT}px`;
    cell.append(twisty(model, i), element('span', 'wf-stripe'));
    if (model.isLog(i)) {
      cell.append(icon('scroll-text', logClass(model, i), 'log line'), element('span', `wf-message ${logClass(model, i)}`, model.nameOf(i)));
      return cell;
    }
    if (model.has(i, flag.ERROR)) cell.append(icon('circle-x', 'wf-error', 'error'));
    if (model.has(i, flag.COLD)) cell.append(icon('snowflake', 'wf-cold', 'cold start'));
    if (model.has(i, flag.UNDO)) cell.append(icon('rotate-ccw', 'wf-undo', 'compensation: undoes an earlier step'));
    if (model.has(i, flag.LINKED)) cell.append(icon('link', 'wf-linked', 'linked: another trace, or a message of a batch'));
    cell.append(element('span', 'wf-service', model.serviceOf(i)), element('span', 'wf-operation', model.nameOf(i)));
    if (model.collapsed.has(i)) cell.append(element('span', 'wf-count', model.hidden(i)));
    return cell;
  }

  function twisty(model, i) {
    if (model.subtreeEnd[i] === i + 1) return element('span', 'wf-twisty');
    const open = !model.collapsed.has(i);
    const button = element('button', open ? 'wf-twisty wf-open' : 'wf-twisty');
    button.setAttribute('aria-label', open ? 'collapse' : 'expand');
    button.tabIndex = -1;
    button.append(element('span', 'i i-chevron-right'));
    return button;
  }

  function timeCell(model, i, view) {
    const cell = element('div', 'wf-time');
    const left = percent(view, model.start[i]);
    if (model.isLog(i)) {
      const dot = element('span', `wf-dot ${logClass(model, i)}`);
      dot.style.left = `${left}%`;
      cell.append(dot, label(`+${faasight.ms(model.start[i] / 1000)}`, left, left));
      return cell;
    }
    const right = percent(view, model.start[i] + model.length[i]);
    if (model.wait[i] !== undefined) cell.append(wait(model, i, view));
    cell.append(bar(model, i, left, right));
    cell.append(...marks(model, i, view));
    cell.append(label(faasight.ms(model.length[i] / 1000), left, right));
    return cell;
  }

  function bar(model, i, left, right) {
    const flag = faasight.TRACE_FLAG;
    const made = element('span', 'wf-bar');
    if (model.has(i, flag.ERROR)) made.classList.add('wf-bar-error');
    if (model.has(i, flag.INIT)) made.classList.add('wf-bar-init');
    if (model.has(i, flag.WAIT)) made.classList.add('wf-bar-wait');
    place(made, left, right);
    return made;
  }

  /* The dotted line from where the message was sent to where its work began. */
  function wait(model, i, view) {
    const made = element('span', 'wf-wait');
    made.title = `waited ${faasight.ms((model.start[i] - model.wait[i]) / 1000)} in the queue`;
    place(made, percent(view, model.wait[i]), percent(view, model.start[i]));
    return made;
  }

  /* Span events, and the stretches of the critical path. */
  function marks(model, i, view) {
    const made = (model.events[i] || []).map(([time, name]) => {
      const mark = element('i', name === 'exception' ? 'wf-event wf-exception' : 'wf-event');
      mark.title = name;
      mark.style.left = `${percent(view, time)}%`;
      return mark;
    });
    const path = model.critical[i] || [];
    for (let k = 0; k < path.length; k += 2) {
      const line = element('span', 'wf-critical');
      place(line, percent(view, path[k]), percent(view, path[k + 1]));
      made.push(line);
    }
    return made;
  }

  /* Behind the bar; near the right edge inside it, or before it if it is too short. */
  function label(text, left, right) {
    const made = element('span', 'wf-duration', text);
    if (right <= LABEL_FLIPS_AT) made.style.left = `${Math.max(0, right)}%`;
    else if (right - Math.max(0, left) > LABEL_FITS) {
      made.style.right = `${Math.max(0, 100 - right)}%`;
      made.classList.add('wf-inside');
    } else made.style.right = `${Math.min(100, 100 - left)}%`;
    return made;
  }

  function place(made, left, right) {
    made.style.left = `${left}%`;
    made.style.width = `${Math.max(0, right - left)}%`;
  }

  function logClass(model, i) {
    const flag = faasight.TRACE_FLAG;
    return model.has(i, flag.ERROR) ? 'wf-log-error' : model.has(i, flag.WARN) ? 'wf-log-warn' : 'wf-log-info';
  }

  faasight.waterfallRow = row;
})();

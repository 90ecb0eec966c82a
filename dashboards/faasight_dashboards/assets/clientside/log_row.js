/* One log line as DOM, and what unfolds below it. Lines are hostile input: they only ever become text nodes. */
(() => {
  const LEVELS = new Set(['DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL']);

  const element = (tag, className, text) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const pad = (number, width = 2) => String(number).padStart(width, '0');

  /** A time in the viewer's zone: 11-21 08:02:07.519. */
  const clock = ms => {
    const at = new Date(ms);
    const day = `${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
    return `${day} ${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}.${pad(at.getMilliseconds(), 3)}`;
  };

  const levelOf = line => (LEVELS.has(line.level) ? line.level : 'INFO');

  const anchor = (text, href) => {
    const made = element('a', 'log-link', text);
    made.href = href;
    return made;
  };

  const traceHref = line => `/traces/${encodeURIComponent(line.trace_id)}${line.span_id ? `?span=${encodeURIComponent(line.span_id)}` : ''}`;

  /** `line`: {ts (ms), level, function, message, request_id, trace_id, span_id, attributes}. */
  const logRow = line => {
    const row = element('div', `log-row level-${levelOf(line)}`);
    row.tabIndex = 0;
    row.setAttribute('role', 'listitem');
    row.setAttribute('aria-expanded', 'false');
    const time = element('time', 'log-time', clock(line.ts));
    time.title = `${new Date(line.ts).toISOString()} (UTC)`;
    const message = element('span', 'log-message', line.message);
    row.append(element('span', 'log-stripe'), time, element('span', 'log-level', line.level), element('span', 'log-function', line.function), message);
    return row;
  };

  /** A name and its value, with a button that adds them to the query. */
  const fact = (list, name, value, term, href) => {
    const shown = element('dd');
    shown.append(href ? anchor(value, href) : element('span', '', value));
    if (term) {
      const button = element('button', 'log-filter i i-funnel');
      button.title = `Only lines with ${term}`;
      button.setAttribute('aria-label', button.title);
      button.dataset.term = term;
      shown.append(button);
    }
    list.append(element('dt', '', name), shown);
  };

  const quoted = value => (/^[\w./@+-]+$/.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`);

  /** Everything known of a line. */
  const logDetail = line => {
    const detail = element('div', 'log-detail');
    detail.append(element('pre', 'log-whole', line.message));
    const { stack_trace: stack, ...rest } = line.attributes;
    if (stack) detail.append(element('pre', 'log-stack', stack));
    const list = element('dl', 'log-facts');
    fact(list, 'time', new Date(line.ts).toISOString());
    fact(list, 'level', line.level, `level:${line.level.toLowerCase()}`);
    fact(list, 'function', line.function, `function:${quoted(line.function)}`, `/functions/${encodeURIComponent(line.function)}`);
    if (line.request_id) fact(list, 'request_id', line.request_id, `request_id:${quoted(line.request_id)}`);
    if (line.trace_id) fact(list, 'trace_id', line.trace_id, `trace_id:${line.trace_id}`, traceHref(line));
    for (const [name, value] of Object.entries(rest).sort()) fact(list, name, value, `${name}:${quoted(value)}`);
    detail.append(list);
    return detail;
  };

  faasight.logRow = logRow;
  faasight.logDetail = logDetail;
})();

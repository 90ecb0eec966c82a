/* The logs page: fills the list, runs the live tail, keeps the query in the address. */
(() => {
  const WAITING = 'Waiting for lines…';
  let list = null;
  let tailing = false;
  let reached = '0'; // the cursor: order of arrival of the newest line

  const current = () => {
    const root = document.getElementById('log-list');
    if (!root) return null;
    if (!list || list.root !== root) {
      list = new faasight.LogList(root);
      tailing = false; // the page is a new one
    }
    return list;
  };

  const field = () => document.getElementById('logs-query');

  window.dash_clientside.logs = {
    /* Lines of a search; a running tail owns the list. */
    show(rows) {
      if (rows && !tailing && current()) current().replace(rows);
      return faasight.noUpdate();
    },
    keep(query) {
      faasight.setParams({ q: query || '' });
      return faasight.noUpdate();
    },
    /* [poll.disabled, cursor, button's class, its label]; a tail starts with the newest lines. */
    toggle(_clicks, disabled) {
      tailing = disabled;
      reached = '0';
      if (tailing && current()) current().replace([], WAITING);
      return [!disabled, '0', disabled ? 'pill on' : 'pill', disabled ? 'Pause' : 'Live tail'];
    },
    /* A new query starts the tail anew. */
    restart(_query) {
      if (!tailing) return faasight.noUpdate();
      reached = '0';
      current()?.replace([], WAITING);
      return '0';
    },
    /* What a poll brought: {rows, after, cursor}; an answer that comes late, or twice, is behind the cursor already. */
    push(news) {
      if (!news || !tailing || !current() || news.after !== reached) return faasight.noUpdate();
      reached = news.cursor;
      current().push(news.rows);
      return news.cursor;
    },
  };

  document.addEventListener('log-filter', event => {
    const query = field().value.trim();
    const term = event.detail;
    if (!query.split(/\s+/).includes(term)) faasight.setProps('logs-query', { value: query ? `${query} ${term}` : term });
  });
})();

/* The list of log lines, newest first. While the live tail runs and the viewer reads further down, new lines wait. */
(() => {
  const MOST = 1000; // lines in the page; older ones go
  const AT_TOP = 4; // pixels

  class LogList {
    constructor(root) {
      this.root = root;
      this.lines = new Map(); // row -> line
      this.waiting = []; // came while the viewer was reading, oldest first
      this.missed = 0; // how many came since
      this.news = document.createElement('button');
      this.news.className = 'log-news';
      this.news.hidden = true;
      this.scroller = document.createElement('div');
      this.scroller.className = 'log-scroller';
      this.scroller.setAttribute('role', 'list');
      this.scroller.setAttribute('aria-label', 'Log lines');
      root.replaceChildren(this.news, this.scroller);
      this.listen();
    }

    listen() {
      this.scroller.addEventListener('click', event => this.click(event));
      this.scroller.addEventListener('keydown', event => this.key(event));
      this.scroller.addEventListener('scroll', () => { if (this.atTop()) this.flush(); }, { passive: true });
      this.news.addEventListener('click', () => {
        this.scroller.scrollTop = 0;
        this.flush();
      });
    }

    atTop() { return this.scroller.scrollTop <= AT_TOP; }

    /* Show these lines, newest first, and forget the rest. */
    replace(lines, empty = 'No line matches: choose a longer range, or another query.') {
      this.scroller.dataset.empty = empty;
      this.forgetWaiting();
      this.lines.clear();
      this.scroller.replaceChildren(...lines.slice(0, MOST).map(line => this.make(line)));
    }

    /* Add lines of the live tail, oldest first. */
    push(lines) {
      if (!lines.length) return;
      if (this.atTop()) {
        this.add(lines);
        return;
      }
      this.missed += lines.length;
      this.waiting = [...this.waiting, ...lines].slice(-MOST);
      this.news.textContent = `${this.missed.toLocaleString('en')} new`;
      this.news.hidden = false;
    }

    flush() {
      if (!this.missed) return;
      const lines = this.waiting;
      this.forgetWaiting();
      this.add(lines);
    }

    forgetWaiting() {
      this.waiting = [];
      this.missed = 0;
      this.news.hidden = true;
    }

    add(lines) {
      this.scroller.prepend(...lines.slice(-MOST).reverse().map(line => this.make(line)));
      while (this.scroller.childElementCount > MOST) {
        const last = this.scroller.lastElementChild;
        this.lines.delete(last);
        last.remove();
      }
    }

    make(line) {
      const row = faasight.logRow(line);
      this.lines.set(row, line);
      return row;
    }

    click(event) {
      const filter = event.target.closest('.log-filter');
      if (filter) {
        this.root.dispatchEvent(new CustomEvent('log-filter', { bubbles: true, detail: filter.dataset.term }));
        return;
      }
      const row = event.target.closest('.log-row');
      if (row && !event.target.closest('.log-detail, a') && !String(getSelection())) this.toggle(row);
    }

    toggle(row) {
      const open = row.getAttribute('aria-expanded') === 'true';
      row.setAttribute('aria-expanded', String(!open));
      if (open) row.querySelector('.log-detail').remove();
      else row.append(faasight.logDetail(this.lines.get(row)));
    }

    key(event) {
      const row = event.target.closest('.log-row');
      if (!row || event.target !== row) return;
      const steps = {
        j: () => row.nextElementSibling?.focus(), ArrowDown: () => row.nextElementSibling?.focus(),
        k: () => row.previousElementSibling?.focus(), ArrowUp: () => row.previousElementSibling?.focus(),
        Enter: () => this.toggle(row), ' ': () => this.toggle(row),
      };
      if (!steps[event.key]) return;
      steps[event.key]();
      event.preventDefault();
    }
  }

  faasight.LogList = LogList;
})();

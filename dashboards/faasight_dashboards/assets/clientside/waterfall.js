/* The trace waterfall: DOM rows only for what is on screen, so that 10,000 spans scroll as smoothly as ten.
   Keys: j / k or arrows move, left / right close and open, e goes to the next error, / finds, Escape shows all. */
(() => {
  const ROW_HEIGHT = 26; // as in trace.css
  const OVERSCAN = 8; // rows kept above and below the screen
  const TICKS = 6;

  class Waterfall {
    /* `onSelect(spanId)` is told what the user chose. */
    constructor(root, columns, onSelect) {
      this.root = root;
      this.model = new faasight.TraceModel(columns);
      this.onSelect = onSelect;
      this.selected = -1;
      this.matches = [];
      this.pool = new Map(); // visible position -> row
      this.build();
      this.listen();
      this.show(0, this.model.total);
      const first = columns.selected ? this.model.id.indexOf(columns.selected) : -1;
      if (first >= 0) this.select(first);
    }

    build() {
      const make = (tag, className, parent) => {
        const made = document.createElement(tag);
        made.className = className;
        return parent.appendChild(made);
      };
      this.root.replaceChildren();
      const canvas = make('canvas', 'wf-minimap', this.root);
      canvas.title = 'Drag to zoom; click to see all';
      const header = make('div', 'wf-header', this.root);
      const title = make('div', 'wf-name', header);
      title.textContent = 'Service & operation';
      this.grip = make('div', 'wf-grip', title);
      this.ruler = make('div', 'wf-time', header);
      this.viewport = make('div', 'wf-viewport', this.root);
      this.viewport.tabIndex = 0;
      this.viewport.setAttribute('role', 'treegrid');
      this.viewport.setAttribute('aria-label', 'Spans of the trace');
      this.sheet = make('div', 'wf-sheet', this.viewport);
      this.minimap = new faasight.WaterfallMinimap(canvas, this.model, (from, to) => this.show(from, to));
    }

    listen() {
      this.viewport.addEventListener('scroll', () => this.paint(), { passive: true });
      this.sheet.addEventListener('click', (event) => this.click(event));
      this.grip.addEventListener('pointerdown', (event) => this.resizeNames(event));
      this.onKey = (event) => this.key(event);
      document.addEventListener('keydown', this.onKey);
      this.sizes = new ResizeObserver(() => this.redraw());
      this.sizes.observe(this.root);
      this.themes = new MutationObserver(() => this.minimap.draw());
      this.themes.observe(document.documentElement, { attributeFilter: ['data-mantine-color-scheme'] });
    }

    /* Let go of what outlives the page. */
    destroy() {
      document.removeEventListener('keydown', this.onKey);
      this.sizes.disconnect();
      this.themes.disconnect();
    }

    /* Show a stretch of time, in microseconds. */
    show(from, to) {
      this.view = { from, to };
      this.redraw();
    }

    redraw() {
      this.minimap.draw(this.view);
      this.drawRuler();
      this.paint(true);
    }

    drawRuler() {
      const { from, to } = this.view;
      const step = niceStep((to - from) / TICKS);
      this.ruler.replaceChildren();
      for (let time = Math.ceil(from / step) * step; time < to; time += step) {
        const tick = document.createElement('span');
        tick.textContent = time === 0 ? '0' : faasight.ms(time / 1000);
        tick.style.left = `${((time - from) / (to - from)) * 100}%`;
        this.ruler.append(tick);
      }
    }

    /* Make the rows on screen; `anew` throws away those already there. */
    paint(anew = false) {
      const { visible } = this.model, top = this.viewport.scrollTop;
      const first = Math.max(0, Math.floor(top / ROW_HEIGHT) - OVERSCAN);
      const last = Math.min(visible.length, Math.ceil((top + this.viewport.clientHeight) / ROW_HEIGHT) + OVERSCAN);
      if (anew) {
        this.pool.clear();
        this.sheet.replaceChildren();
        this.sheet.style.height = `${visible.length * ROW_HEIGHT}px`;
      }
      for (const [position, row] of this.pool) {
        if (position >= first && position < last) continue;
        row.remove();
        this.pool.delete(position);
      }
      for (let position = first; position < last; position++) if (!this.pool.has(position)) this.addRow(position);
    }

    addRow(position) {
      const i = this.model.visible[position];
      const row = faasight.waterfallRow(this.model, i, this.view);
      row.style.top = `${position * ROW_HEIGHT}px`;
      this.markRow(row, i);
      this.pool.set(position, row);
      this.sheet.append(row);
    }

    markRow(row, i) {
      row.classList.toggle('wf-selected', i === this.selected);
      row.setAttribute('aria-selected', i === this.selected);
      row.classList.toggle('wf-dim', this.matchSet !== undefined && !this.matchSet.has(i));
    }

    markRows() {
      for (const row of this.pool.values()) this.markRow(row, Number(row.dataset.row));
    }

    click(event) {
      const row = event.target.closest('.wf-row');
      if (!row) return;
      const i = Number(row.dataset.row);
      if (event.target.closest('button.wf-twisty')) this.toggle(i);
      else this.select(i);
    }

    toggle(i) {
      this.model.toggle(i);
      this.paint(true);
    }

    select(i) {
      this.model.reveal(i);
      this.selected = i;
      this.scrollTo(i);
      this.paint(true);
      const span = this.model.isLog(i) ? this.model.parent[i] : i;
      this.onSelect(span >= 0 ? this.model.id[span] : '');
    }

    scrollTo(i) {
      const top = this.model.visible.indexOf(i) * ROW_HEIGHT, height = this.viewport.clientHeight;
      this.sheet.style.height = `${this.model.visible.length * ROW_HEIGHT}px`;
      if (top < this.viewport.scrollTop) this.viewport.scrollTop = top;
      else if (top + ROW_HEIGHT > this.viewport.scrollTop + height) this.viewport.scrollTop = top + ROW_HEIGHT - height;
    }

    /* Dim all but the rows that hold the text; returns how many do. */
    find(text) {
      this.matches = this.model.find(text);
      this.matchSet = text.trim() ? new Set(this.matches) : undefined;
      this.markRows();
      return this.matches.length;
    }

    /* Go to the next match (or the one before), around the ends; returns its number from 1, 0 if there is none. */
    nextMatch(direction = 1) {
      if (!this.matches.length) return 0;
      const after = this.matches.findIndex((i) => i > this.selected);
      let at = direction > 0 ? after : (after < 0 ? this.matches.length : after) - 1;
      if (direction < 0 && this.matches[at] === this.selected) at--;
      if (at < 0) at = direction > 0 ? 0 : this.matches.length - 1;
      this.select(this.matches[at]);
      return at + 1;
    }

    toggleLogs() {
      this.model.showLogs = !this.model.showLogs;
      this.model.updateVisible();
      this.paint(true);
      return this.model.showLogs;
    }

    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, textarea, select, [role=dialog]')) return;
      const moves = {
        j: () => this.move(1), ArrowDown: () => this.move(1), k: () => this.move(-1), ArrowUp: () => this.move(-1),
        ArrowRight: () => this.unfold(), ArrowLeft: () => this.fold(), e: () => this.nextError(),
        Escape: () => this.show(0, this.model.total),
      };
      if (!moves[event.key]) return;
      moves[event.key]();
      event.preventDefault();
    }

    move(by) {
      const { visible } = this.model, at = visible.indexOf(this.selected);
      this.select(visible[at < 0 ? 0 : Math.max(0, Math.min(visible.length - 1, at + by))]);
    }

    unfold() {
      if (this.model.collapsed.has(this.selected)) this.toggle(this.selected);
    }

    fold() {
      const { model, selected } = this;
      if (selected < 0) return;
      if (model.hidden(selected) && !model.collapsed.has(selected)) this.toggle(selected);
      else if (model.parent[selected] >= 0) this.select(model.parent[selected]);
    }

    nextError() {
      const { model } = this;
      for (let k = 1; k <= model.size; k++) {
        const i = (this.selected + k + model.size) % model.size;
        if (model.has(i, faasight.TRACE_FLAG.ERROR) && !model.isLog(i)) return this.select(i);
      }
      return undefined;
    }

    resizeNames(event) {
      const left = this.root.getBoundingClientRect().left;
      this.grip.setPointerCapture(event.pointerId);
      const drag = (move) => {
        const width = Math.max(160, Math.min(this.root.clientWidth - 240, move.clientX - left));
        this.root.style.setProperty('--wf-name-width', `${width}px`);
      };
      this.grip.addEventListener('pointermove', drag);
      this.grip.addEventListener('pointerup', () => this.grip.removeEventListener('pointermove', drag), { once: true });
      event.preventDefault();
    }
  }

  /* The smallest of 1, 2, 5 times a power of ten that is no less. */
  function niceStep(least) {
    const power = 10 ** Math.floor(Math.log10(Math.max(least, 1e-3)));
    return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least);
  }

  faasight.Waterfall = Waterfall;
})();

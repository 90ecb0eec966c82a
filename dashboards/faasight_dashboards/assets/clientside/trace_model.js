/* A trace as the waterfall sees it: columns of numbers, one entry a row (a span, or a log line), parents before children. */
(() => {
  /* Bits of `flags`; figures/waterfall.py writes them. */
  const FLAG = Object.freeze({ ERROR: 1, COLD: 2, INIT: 4, LINKED: 8, LOG: 16, WARN: 32, WAIT: 64, UNDO: 128 });

  const MANY = 40; // rows of a trace that no screen shows at once
  const LONG = 8; // rows of an init that would push the rest of such a trace aside

  class TraceModel {
    /* `columns`: see Waterfall in figures/waterfall.py. Times are microseconds from the trace's start. */
    constructor(columns) {
      Object.assign(this, columns);
      this.size = this.start.length;
      this.total = 1;
      for (let i = 0; i < this.size; i++) this.total = Math.max(this.total, this.start[i] + this.length[i]);
      this.measureSubtrees();
      this.collapsed = new Set(this.size > MANY ? this.longInits() : []);
      this.showLogs = true;
      this.updateVisible();
    }

    /* Rows are in preorder, so a subtree is the run of rows up to `subtreeEnd`. */
    measureSubtrees() {
      this.subtreeEnd = new Int32Array(this.size);
      this.children = new Int32Array(this.size);
      for (let i = this.size - 1; i >= 0; i--) {
        if (!this.subtreeEnd[i]) this.subtreeEnd[i] = i + 1;
        const parent = this.parent[i];
        if (parent < 0) continue;
        if (!this.isLog(i)) this.children[parent]++;
        this.subtreeEnd[parent] = Math.max(this.subtreeEnd[parent], this.subtreeEnd[i]);
      }
    }

    /* Inits whose imports begin folded; one that is all there is does not. */
    longInits() {
      const init = i => i >= 0 && this.has(i, FLAG.INIT);
      return [...this.start.keys()].filter(i => this.parent[i] >= 0 && init(i) && !init(this.parent[i]) && this.hidden(i) > LONG);
    }

    updateVisible() {
      this.visible = [];
      for (let i = 0; i < this.size; ) {
        if (!this.isLog(i) || this.showLogs) this.visible.push(i);
        i = this.collapsed.has(i) ? this.subtreeEnd[i] : i + 1;
      }
    }

    has(i, flag) { return (this.flags[i] & flag) !== 0; }
    isLog(i) { return this.has(i, FLAG.LOG); }
    serviceOf(i) { return this.services[this.service[i]]; }
    nameOf(i) { return this.names[this.name[i]]; }
    hidden(i) { return this.subtreeEnd[i] - i - 1; }

    toggle(i) {
      if (this.subtreeEnd[i] === i + 1) return;
      if (!this.collapsed.delete(i)) this.collapsed.add(i);
      this.updateVisible();
    }

    /* Open everything above row `i`, so that it can be seen. */
    reveal(i) {
      let opened = false;
      for (let up = this.parent[i]; up >= 0; up = this.parent[up]) opened = this.collapsed.delete(up) || opened;
      if (opened) this.updateVisible();
    }

    /* Rows whose service or name holds the text, in any case. */
    find(text) {
      const wanted = text.trim().toLowerCase();
      const found = [];
      if (!wanted) return found;
      const hit = (values) => values.map((value) => value.toLowerCase().includes(wanted));
      const service = hit(this.services), name = hit(this.names);
      for (let i = 0; i < this.size; i++) if (service[this.service[i]] || name[this.name[i]]) found.push(i);
      return found;
    }
  }

  faasight.TraceModel = TraceModel;
  faasight.TRACE_FLAG = FLAG;
})();

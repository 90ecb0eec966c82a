/* The whole trace on one small canvas, with the stretch in view; drag to choose another stretch. */
(() => {
  const HEIGHT = 54, MARGIN = 3, PALETTE = 10;
  const SMALLEST_STRETCH = 0.003; // of the trace: less is a click, and a click shows all

  class WaterfallMinimap {
    /* `onView(from, to)` is called with microseconds. */
    constructor(canvas, model, onView) {
      this.canvas = canvas;
      this.model = model;
      this.onView = onView;
      this.view = { from: 0, to: model.total };
      canvas.addEventListener('pointerdown', (event) => this.grab(event));
    }

    timeAt(event) {
      const box = this.canvas.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      return share * this.model.total;
    }

    grab(event) {
      const first = this.timeAt(event);
      this.canvas.setPointerCapture(event.pointerId);
      const drag = (move) => this.draw({ from: Math.min(first, this.timeAt(move)), to: Math.max(first, this.timeAt(move)) });
      const release = (last) => {
        this.canvas.removeEventListener('pointermove', drag);
        const from = Math.min(first, this.timeAt(last)), to = Math.max(first, this.timeAt(last));
        if (to - from > this.model.total * SMALLEST_STRETCH) this.onView(from, to);
        else this.onView(0, this.model.total);
      };
      this.canvas.addEventListener('pointermove', drag);
      this.canvas.addEventListener('pointerup', release, { once: true });
    }

    draw(view = this.view) {
      this.view = view;
      const width = this.canvas.clientWidth, ratio = window.devicePixelRatio || 1;
      this.canvas.width = width * ratio;
      this.canvas.height = HEIGHT * ratio;
      const brush = this.canvas.getContext('2d');
      brush.scale(ratio, ratio);
      this.drawSpans(brush, width);
      this.drawView(brush, width);
    }

    drawSpans(brush, width) {
      const { model } = this, flag = faasight.TRACE_FLAG;
      const style = getComputedStyle(this.canvas);
      const colors = Array.from({ length: PALETTE }, (_, i) => style.getPropertyValue(`--wf-${i}`));
      const error = style.getPropertyValue('--err');
      const inner = HEIGHT - 2 * MARGIN, scale = width / model.total;
      const thickness = Math.max(1, Math.min(4, inner / model.size - 0.5));
      for (let i = 0; i < model.size; i++) {
        if (model.isLog(i)) continue;
        const failed = model.has(i, flag.ERROR);
        brush.fillStyle = failed ? error : colors[model.service[i] % PALETTE];
        brush.globalAlpha = failed ? 1 : 0.8;
        brush.fillRect(model.start[i] * scale, MARGIN + (inner * i) / model.size, Math.max(1, model.length[i] * scale), thickness);
      }
    }

    /* Veil what lies outside the stretch in view. */
    drawView(brush, width) {
      const { from, to } = this.view, scale = width / this.model.total;
      if (from <= 0 && to >= this.model.total) return;
      const style = getComputedStyle(this.canvas);
      brush.globalAlpha = 0.65;
      brush.fillStyle = style.getPropertyValue('--bg');
      brush.fillRect(0, 0, from * scale, HEIGHT);
      brush.fillRect(to * scale, 0, width - to * scale, HEIGHT);
      brush.globalAlpha = 1;
      brush.fillStyle = style.getPropertyValue('--accent');
      brush.fillRect(from * scale - 1, 0, 2, HEIGHT);
      brush.fillRect(to * scale - 1, 0, 2, HEIGHT);
    }
  }

  faasight.WaterfallMinimap = WaterfallMinimap;
})();

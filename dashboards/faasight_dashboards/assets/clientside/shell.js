/* The frame: titles, the marked navigation link, refreshing by itself, the link to share, keys. */
(() => {
  const STORED = 'faasight-refresh-s';
  let seconds = 0;
  let started = false;

  const mark = pathname => {
    for (const anchor of document.querySelectorAll('.navlink')) {
      const path = new URL(anchor.href).pathname;
      const active = path === '/' ? pathname === '/' : pathname === path || pathname.startsWith(`${path}/`);
      if (active) anchor.setAttribute('aria-current', 'page');
      else anchor.removeAttribute('aria-current');
    }
  };

  const applyRefresh = () => {
    const hidden = document.visibilityState === 'hidden';
    faasight.setProps('tick', { interval: (seconds || 30) * 1000, disabled: hidden || !seconds });
    const text = !seconds ? 'Off' : seconds < 60 ? `${seconds}s` : `${seconds / 60}m`;
    const label = document.getElementById('refresh-label');
    if (label) label.textContent = text;
  };
  const refreshNow = () => faasight.setProps('tick', { n_intervals: Date.now() });

  /** An address with the range fixed, so that who opens it sees what we see. */
  const share = async () => {
    const [from, to] = faasight.scope.span();
    const url = new URL(location);
    url.searchParams.set('from', String(Math.round(from)));
    url.searchParams.set('to', String(Math.round(to)));
    try {
      await navigator.clipboard.writeText(url.href);
      faasight.toast('Link copied: it shows this range to whoever opens it');
    } catch {
      window.prompt('Copy this link:', url.href);
    }
  };

  window.dash_clientside.shell = {
    title(title, pathname) {
      document.title = title ? `${title} · FaaSight` : 'FaaSight';
      mark(pathname || location.pathname);
      return faasight.noUpdate();
    },
    start(defaults) {
      if (!started) {
        started = true;
        const stored = localStorage.getItem(STORED);
        seconds = Number(stored === null ? (defaults && defaults.refresh) || 0 : stored);
        applyRefresh();
      }
      return faasight.noUpdate();
    },
  };

  document.addEventListener('visibilitychange', () => {
    if (!started) return;
    applyRefresh();
    if (document.visibilityState === 'visible' && seconds) refreshNow();
  });

  document.addEventListener('click', event => {
    const target = event.target.closest('[data-refresh],[data-share]');
    if (!target) return;
    if (target.dataset.share) share();
    else if (target.dataset.refresh === 'now') refreshNow();
    else {
      seconds = Number(target.dataset.refresh);
      localStorage.setItem(STORED, String(seconds));
      applyRefresh();
      faasight.setProps('refresh-popover', { opened: false });
    }
  });

  const KEYS = { ArrowLeft: () => faasight.scope.shift(-1), ArrowRight: () => faasight.scope.shift(1), z: () => faasight.scope.zoomOut(), r: refreshNow };
  let armed = 0; // `t` pressed a moment ago
  document.addEventListener('keydown', event => {
    const typing = event.target.closest && event.target.closest('input,textarea,select,[contenteditable=true]');
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !faasight.scope.get()) return;
    if (event.key === 't') armed = Date.now();
    else if (Date.now() - armed < 1500 && KEYS[event.key]) { event.preventDefault(); KEYS[event.key](); }
  });
})();

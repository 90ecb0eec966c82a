/* Links inside the app keep the range and environment, and load no page from the start. */
(() => {
  const KEPT = ['from', 'to', 'env'];

  /** The link's address with what this view looks at, unless it says so itself. */
  const keep = href => {
    const url = new URL(href, location);
    const here = faasight.params();
    for (const name of KEPT) {
      if (here.has(name) && !url.searchParams.has(name)) url.searchParams.set(name, here.get(name));
    }
    return url;
  };
  const inside = target => {
    const anchor = target.closest && target.closest('a[href]');
    const own = anchor && anchor.origin === location.origin && !anchor.hasAttribute('download') && !anchor.target;
    return own ? anchor : null;
  };

  faasight.keep = href => { const url = keep(href); return url.pathname + url.search + url.hash; };

  // Opened in a new tab, it should lead to the same view.
  document.addEventListener('pointerdown', event => {
    const anchor = inside(event.target);
    if (anchor && event.button !== 0 || anchor && (event.ctrlKey || event.metaKey)) anchor.href = keep(anchor.href).href;
  }, true);

  // Before React hears of it.
  document.addEventListener('click', event => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const anchor = inside(event.target);
    if (!anchor || anchor.pathname.startsWith('/assets/') || anchor.protocol === 'blob:') return;
    event.preventDefault();
    event.stopPropagation();
    faasight.go(faasight.keep(anchor.href));
  }, true);
})();

/* Runs before anything is painted, so that a page does not flash in the other colour scheme. */
(() => {
  const stored = localStorage.getItem('mantine-color-scheme-value');
  const system = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  const scheme = stored === 'dark' || stored === 'light' ? stored : system;
  document.documentElement.setAttribute('data-mantine-color-scheme', scheme);
})();

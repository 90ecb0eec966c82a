/* `/` goes to the page's own search field where it has one (class `slash`), before the search over everything hears of it. */
document.addEventListener('keydown', event => {
  const field = document.querySelector('.slash input');
  if (event.key !== '/' || !field || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest('input, textarea, [role=dialog]')) return;
  event.preventDefault();
  event.stopPropagation();
  field.focus();
}, true);

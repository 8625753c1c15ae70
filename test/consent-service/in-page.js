// Runs inside a page, brought there by the tests in a real browser (page-checks.ts): what axe-core does not look at.
globalThis.inPage = { faults, focus };

/** What is wrong with the page, as lines to read. */
function faults(hasTicks) {
  const found = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) found.push(`wider than the screen: ${root.scrollWidth}`);
  for (const one of document.querySelectorAll('body *')) {
    if (one.getBoundingClientRect().right > root.clientWidth + 1) found.push(`beyond the edge: ${nameOf(one)}`);
  }
  if (document.scripts.length > 0 || document.querySelector('[style]') !== null) found.push('script or inline style');
  for (const one of document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')) {
    const { left, width, height } = one.getBoundingClientRect();
    const isHere = width > 0 && left >= 0 && one.checkVisibility();
    const isInText = getComputedStyle(one).display === 'inline' && one.parentElement.tagName === 'P';
    if (isHere && !isInText && (width < 24 || height < 24)) found.push(`a small target: ${nameOf(one)}`);
  }
  if (!hasTicks && document.querySelector('input:checked') !== null) found.push('ticked beforehand');
  for (const group of document.querySelectorAll('.buttons')) {
    const looks = new Set([...group.querySelectorAll('button')].map(lookOf));
    if (looks.size > 1) found.push(`buttons that differ: ${[...looks].join(' ')}`);
  }
  return found;
}

function lookOf(button) {
  const { width, height } = button.getBoundingClientRect();
  const { fontSize, fontWeight, color, backgroundColor, border, padding, opacity } = getComputedStyle(button);
  const size = [Math.round(width), Math.round(height)];
  return JSON.stringify({ size, fontSize, fontWeight, color, backgroundColor, border, padding, opacity });
}

/** Where the focus is: at what is looked for, and to be seen. */
function focus(selector) {
  const one = document.activeElement ?? document.body;
  const { outlineStyle, outlineWidth } = getComputedStyle(one);
  const { top, bottom } = one.getBoundingClientRect();
  const hasRing = outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 2;
  const isSeen = one === document.body || (hasRing && bottom > 0 && top < innerHeight);
  return { isThere: one.matches(selector), isSeen, what: one.outerHTML.slice(0, 200) };
}

function nameOf(one) {
  return `<${one.tagName.toLowerCase()} ${one.className}> ${one.textContent.trim().slice(0, 30)}`;
}

/** Rows drawn above and below what is visible. */
const spare = 8;

/**
 * A list of any length that draws only the rows one sees. Arrow keys, Home, End, Page Up and Down choose; Enter opens.
 * @param {HTMLElement} box has role listbox
 * @param {{ fill(row: HTMLElement, key: string): void, open(key: string): void }} options
 */
export function createList(box, { fill, open }) {
  /** @type {readonly string[]} */
  let keys = [];
  /** @type {string | undefined} */
  let active;
  /** @type {string | undefined} */
  let opened;
  /** @type {Map<string, HTMLElement>} */
  let rows = new Map();
  const ground = document.createElement('div');
  ground.setAttribute('role', 'presentation');
  box.append(ground);
  let scheduled = false;

  const height = () => Number.parseFloat(getComputedStyle(box).getPropertyValue('--row')) || 32;

  const draw = () => {
    scheduled = false;
    const each = height();
    ground.style.height = `${keys.length * each}px`;
    const first = Math.max(0, Math.floor(box.scrollTop / each) - spare);
    const last = Math.min(keys.length, Math.ceil((box.scrollTop + box.clientHeight) / each) + spare);
    const next = new Map();
    for (let index = first; index < last; index += 1) {
      const key = keys[index];
      const row = rows.get(key) ?? makeRow(key);
      rows.delete(key);
      next.set(key, row);
      row.style.top = `${index * each}px`;
      row.setAttribute('aria-posinset', String(index + 1));
      row.setAttribute('aria-setsize', String(keys.length));
      row.setAttribute('aria-selected', String(key === opened));
      row.dataset.active = String(key === active);
      fill(row, key);
    }
    for (const row of rows.values()) row.remove();
    rows = next;
    const current = active === undefined ? undefined : rows.get(active);
    if (current === undefined) box.removeAttribute('aria-activedescendant');
    else box.setAttribute('aria-activedescendant', current.id);
  };
  /** @param {string} key */
  const makeRow = (key) => {
    const row = document.createElement('div');
    row.className = 'row';
    row.id = `row-${encodeURIComponent(key)}`;
    row.setAttribute('role', 'option');
    row.addEventListener('click', () => {
      active = key;
      open(key);
    });
    ground.append(row);
    return row;
  };
  const redraw = () => {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(draw);
  };
  /** @param {number} index */
  const go = (index) => {
    const to = Math.min(Math.max(index, 0), keys.length - 1);
    active = keys[to];
    const each = height();
    if (to * each < box.scrollTop) box.scrollTop = to * each;
    if ((to + 1) * each > box.scrollTop + box.clientHeight) box.scrollTop = (to + 1) * each - box.clientHeight;
    redraw();
  };

  // Who comes with the Tab key sees where he is, and Enter does something.
  box.addEventListener('focus', () => {
    if (active !== undefined && keys.includes(active)) return;
    active = keys[Math.ceil(box.scrollTop / height())];
    redraw();
  });
  box.addEventListener('scroll', redraw, { passive: true });
  window.addEventListener('resize', redraw);
  box.addEventListener('keydown', (event) => {
    const at = active === undefined ? -1 : keys.indexOf(active);
    const page = Math.max(1, Math.floor(box.clientHeight / height()) - 1);
    /** @type {Record<string, number>} */
    const moves = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: keys.length,
    };
    if (event.key in moves) go(moves[event.key]);
    else if (event.key === 'Enter' && active !== undefined && keys.includes(active)) open(active);
    else return;
    event.preventDefault();
  });

  return {
    /** @param {readonly string[]} next */
    show(next) {
      keys = next;
      redraw();
    },
    /** @param {string | undefined} key */
    mark(key) {
      opened = key;
      redraw();
    },
    redraw,
  };
}

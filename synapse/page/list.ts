/** Rows drawn above and below the visible ones. */
const spareRows = 8;

/** Row height in pixels when the style sheet does not say. */
const defaultRowHeight = 32;

export interface ListOptions {
  /** Fills the row of one key. */
  fill(row: HTMLElement, key: string): void;
  /** A click or the Enter key chose this key. */
  open(key: string): void;
}

/** A list of any length that draws only the visible rows. Arrow keys, Home, End, Page Up and Down move; Enter opens. */
export class VirtualList {
  readonly #box: HTMLElement;
  readonly #options: ListOptions;
  /** As high as all rows together, so that the scroll bar is right. */
  readonly #ground = document.createElement('div');
  #keys: readonly string[] = [];
  #active: string | undefined;
  #opened: string | undefined;
  #rows = new Map<string, HTMLElement>();
  #drawScheduled = false;

  /** `box` has the role listbox. */
  constructor(box: HTMLElement, options: ListOptions) {
    this.#box = box;
    this.#options = options;
    this.#ground.setAttribute('role', 'presentation');
    box.append(this.#ground);
    box.addEventListener('focus', () => this.#activateOnFocus());
    box.addEventListener('scroll', () => this.redraw(), { passive: true });
    window.addEventListener('resize', () => this.redraw());
    box.addEventListener('keydown', (event) => this.#onKey(event));
  }

  /** Shows these keys, in this order. */
  show(keys: readonly string[]): void {
    this.#keys = keys;
    this.redraw();
  }

  /** Marks the key that is open; undefined when none is. */
  mark(key: string | undefined): void {
    this.#opened = key;
    this.redraw();
  }

  /** Draws once, at the next frame. */
  redraw(): void {
    if (this.#drawScheduled) return;
    this.#drawScheduled = true;
    requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#drawScheduled = false;
    const height = this.#rowHeight();
    this.#ground.style.height = `${this.#keys.length * height}px`;
    const first = Math.max(0, Math.floor(this.#box.scrollTop / height) - spareRows);
    const end = Math.ceil((this.#box.scrollTop + this.#box.clientHeight) / height) + spareRows;
    const rows = new Map<string, HTMLElement>();
    for (const [offset, key] of this.#keys.slice(first, Math.max(first, end)).entries()) {
      const row = this.#rows.get(key) ?? this.#makeRow(key);
      this.#rows.delete(key);
      rows.set(key, row);
      this.#placeRow(row, key, { index: first + offset, height });
    }
    for (const row of this.#rows.values()) row.remove();
    this.#rows = rows;
    const active = this.#active === undefined ? undefined : rows.get(this.#active);
    if (active === undefined) this.#box.removeAttribute('aria-activedescendant');
    else this.#box.setAttribute('aria-activedescendant', active.id);
  }

  #placeRow(
    row: HTMLElement,
    key: string,
    { index, height }: { readonly index: number; readonly height: number },
  ): void {
    row.style.top = `${index * height}px`;
    row.setAttribute('aria-posinset', String(index + 1));
    row.setAttribute('aria-setsize', String(this.#keys.length));
    row.setAttribute('aria-selected', String(key === this.#opened));
    row.dataset.active = String(key === this.#active);
    this.#options.fill(row, key);
  }

  #makeRow(key: string): HTMLElement {
    const row = document.createElement('div');
    row.className = 'row';
    row.id = `row-${encodeURIComponent(key)}`;
    row.setAttribute('role', 'option');
    row.addEventListener('click', () => {
      this.#active = key;
      this.#options.open(key);
    });
    this.#ground.append(row);
    return row;
  }

  /** The Tab key leads here: the first visible row becomes active, so that Enter does something. */
  #activateOnFocus(): void {
    if (this.#activeIndex() !== -1) return;
    this.#active = this.#keys[Math.ceil(this.#box.scrollTop / this.#rowHeight())];
    this.redraw();
  }

  #onKey(event: KeyboardEvent): void {
    const active = this.#activeIndex();
    const page = Math.max(1, Math.floor(this.#box.clientHeight / this.#rowHeight()) - 1);
    const moves = new Map([
      ['ArrowDown', active + 1],
      ['ArrowUp', active - 1],
      ['PageDown', active + page],
      ['PageUp', active - page],
      ['Home', 0],
      ['End', this.#keys.length],
    ]);
    const to = moves.get(event.key);
    if (to !== undefined) this.#activate(to);
    else if (event.key === 'Enter' && this.#active !== undefined && active !== -1) this.#options.open(this.#active);
    else return;
    event.preventDefault();
  }

  /** Makes the row at this index active, or the nearest there is, and scrolls it into view. */
  #activate(index: number): void {
    const to = Math.min(Math.max(index, 0), this.#keys.length - 1);
    this.#active = this.#keys[to];
    const height = this.#rowHeight();
    const box = this.#box;
    if (to * height < box.scrollTop) box.scrollTop = to * height;
    if ((to + 1) * height > box.scrollTop + box.clientHeight) box.scrollTop = (to + 1) * height - box.clientHeight;
    this.redraw();
  }

  #activeIndex(): number {
    return this.#active === undefined ? -1 : this.#keys.indexOf(this.#active);
  }

  #rowHeight(): number {
    return Number.parseFloat(getComputedStyle(this.#box).getPropertyValue('--row')) || defaultRowHeight;
  }
}

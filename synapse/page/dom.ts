/** An element with text in it: always text, never HTML, whatever a record in the registry says. */
export function element(tag: string, className = '', content: string | readonly Node[] = ''): HTMLElement {
  const made = document.createElement(tag);
  if (className !== '') made.className = className;
  if (typeof content === 'string') made.textContent = content;
  else made.append(...content);
  return made;
}

/** The element of the page with this id. @throws when the page has none */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found;
}

/** The value of the input or of the choice with this id. */
export function inputValue(id: string): string {
  const found = byId(id);
  if (found instanceof HTMLInputElement || found instanceof HTMLSelectElement) return found.value;
  throw new Error(`#${id} has no value`);
}

/** Empties the input with this id. */
export function clearInput(id: string): void {
  const found = byId(id);
  if (found instanceof HTMLInputElement) found.value = '';
}

/** Sets a text only when it differs: an unchanged text is neither painted nor read aloud again. */
export function setText(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

/** Replaces the children of an element. Equal ones stay, so that a selection of text in them stays too. */
export function setChildren(box: Element, next: readonly Element[]): void {
  for (const [index, made] of next.entries()) {
    const old = box.children[index];
    if (old === undefined) box.append(made);
    else if (!old.isEqualNode(made)) old.replaceWith(made);
  }
  while (box.children.length > next.length) box.lastElementChild?.remove();
}

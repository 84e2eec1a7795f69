/**
 * An element with text in it: always text, never HTML, whatever a registry has written there.
 * @param {string} tag
 * @param {string} [className]
 * @param {string | readonly Node[]} [content]
 */
export function element(tag, className = '', content = '') {
  const made = document.createElement(tag);
  if (className !== '') made.className = className;
  if (typeof content === 'string') made.textContent = content;
  else made.append(...content);
  return made;
}

/**
 * The element of the page with this id.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found;
}

/**
 * Sets a text only when it is another one: what did not change is neither painted nor read aloud again.
 * @param {Element} target
 * @param {string} text
 */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/**
 * Puts these in place of what an element has; those that are the same stay, and with them what somebody has selected.
 * @param {Element} box
 * @param {readonly Element[]} next
 */
export function setChildren(box, next) {
  for (const [index, made] of next.entries()) {
    const old = box.children[index];
    if (old === undefined) box.append(made);
    else if (!old.isEqualNode(made)) old.replaceWith(made);
  }
  while (box.children.length > next.length) box.lastElementChild?.remove();
}

// What is in the page changes each second. What stays as it was is not touched: somebody may have selected it, or be just reading it.

/**
 * @param {string} name
 * @param {Record<string, string>} attributes
 * @param {...(string | Node)} content
 */
export function element(name, attributes, ...content) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...content);
  return made;
}

/**
 * @param {Element | null | undefined} where
 * @param {string} text
 */
export function say(where, text) {
  if (where && where.textContent !== text) where.textContent = text;
}

/**
 * Has one child for each item.
 *
 * @template Item
 * @param {Element} parent
 * @param {readonly Item[]} items
 * @param {(item: Item) => Element} make a child, empty
 * @param {(child: Element, item: Item) => void} fill
 */
export function eachChild(parent, items, make, fill) {
  while (parent.children.length > items.length) parent.lastElementChild?.remove();
  for (const [index, item] of items.entries()) fill(parent.children[index] ?? parent.appendChild(make(item)), item);
}

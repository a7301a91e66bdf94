/** Finds and copies what the HTML has. */

/**
 * The one element that matches.
 *
 * @throws Error if there is none.
 */
export function find<E extends Element>(root: ParentNode, selector: string, type: new () => E): E {
  const element = root.querySelector(selector)
  if (element instanceof type) return element
  throw new Error(`there is no ${selector}`)
}

/** A copy of the first element in a template. */
export function copyOf(id: string): HTMLElement {
  const { content } = find(document, `template#${id}`, HTMLTemplateElement)
  const element = document.importNode(content, true).firstElementChild
  if (element instanceof HTMLElement) return element
  throw new Error(`the template ${id} is empty`)
}

/** Sets the text of an element, unless it is the same: a screen reader would say it again. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

/** Makes the children of `parent` these, and moves none that is in its place. */
export function setChildren(parent: Element, children: readonly Element[]): void {
  for (const [index, child] of children.entries()) {
    const current = parent.children[index]
    if (current !== child) parent.insertBefore(child, current ?? null)
  }
  while (parent.children.length > children.length) parent.lastElementChild?.remove()
}

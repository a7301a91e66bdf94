/** Finds, copies and changes elements of the page. */

/**
 * Returns the first element that matches a selector.
 *
 * @throws Error if no element matches, or if it is not of this type.
 */
export function find<E extends Element>(root: ParentNode, selector: string, type: new () => E): E {
  const element = root.querySelector(selector)
  if (element instanceof type) return element
  throw new Error(`there is no ${selector}`)
}

/** Returns a copy of the first element in a template. */
export function copyOf(id: string): HTMLElement {
  const { content } = find(document, `template#${id}`, HTMLTemplateElement)
  const element = document.importNode(content, true).firstElementChild
  if (element instanceof HTMLElement) return element
  throw new Error(`the template ${id} is empty`)
}

/** The elements of a section with a list. */
export interface Section {
  readonly root: HTMLElement
  readonly heading: HTMLElement
  readonly summary: HTMLElement
  readonly list: HTMLElement
  /** The button that shows the rest of a long list. */
  readonly fold: HTMLButtonElement
}

/** Finds the elements of a section with a list. */
export function sectionOf(id: string): Section {
  const root = find(document, `#${id}`, HTMLElement)
  return {
    root,
    heading: find(root, 'h2', HTMLElement),
    summary: find(root, '.summary', HTMLElement),
    list: find(root, 'ul', HTMLElement),
    fold: find(root, '.fold', HTMLButtonElement),
  }
}

/**
 * Makes a change in `root`. If it moves the focused element, the element gets the focus again, and if it
 * removes or hides the element, `heir` gets the focus. The browser would move the focus to the top of
 * the page, and a keyboard user would lose their place.
 */
export function keepFocus(root: Element, heir: HTMLElement | null, change: () => void): void {
  const focused = document.activeElement
  const hadFocus = root.contains(focused)
  change()
  if (!hadFocus) return
  // The browser takes the focus from a hidden element only when it renders the page.
  if (!(focused instanceof HTMLElement) || !focused.checkVisibility()) heir?.focus()
  else if (document.activeElement !== focused) focused.focus()
}

/** Sets the text of an element if it differs. A screen reader may announce a text that is set again. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

/** Longest name that is never shortened, and length of the end of a longer one, both in characters. */
const SHORT_NAME = 24
const NAME_END = 12

/**
 * Shows a name in two parts. The style shortens the first one, so that the end with the extension stays
 * visible.
 */
export function setName(element: HTMLElement, name: string): void {
  if (element.title === name) return
  element.title = name
  const characters = Array.from(name)
  if (characters.length <= SHORT_NAME) {
    element.replaceChildren(name)
    return
  }
  const end = characters.splice(-NAME_END)
  element.replaceChildren(
    ...[characters, end].map((part) => {
      const span = document.createElement('span')
      span.textContent = part.join('')
      return span
    }),
  )
}

/**
 * Makes `children` the children of `parent`. Elements that are in their place stay, and keep focus and
 * selection.
 */
export function setChildren(parent: Element, children: readonly Element[]): void {
  for (const [index, child] of children.entries()) {
    const current = parent.children[index]
    if (current !== child) parent.insertBefore(child, current ?? null)
  }
  while (parent.children.length > children.length) parent.lastElementChild?.remove()
}

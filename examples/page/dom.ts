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

/** What the sections with a list have in common. */
export interface Section {
  readonly root: HTMLElement
  readonly heading: HTMLElement
  readonly summary: HTMLElement
  readonly list: HTMLElement
  /** Shows what is not shown at first. */
  readonly fold: HTMLButtonElement
}

/** The parts of a section with a list. */
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

/** Makes a change in `root`. If what has the focus goes by it, the focus goes to `heir`. */
export function keepFocus(root: Element, heir: HTMLElement | null, change: () => void): void {
  const hadFocus = root.contains(document.activeElement)
  change()
  if (hadFocus && document.activeElement === document.body) heir?.focus()
}

/** Sets the text of an element, unless it is the same: a screen reader would say it again. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

/** Longest name that is shown as it is, and length of the end of a longer one, in characters. */
const SHORT_NAME = 24
const NAME_END = 12

/** Shows a name. A long one is shortened in the middle, so that its ending can be seen. */
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

/** Makes the children of `parent` these, and moves none that is in its place. */
export function setChildren(parent: Element, children: readonly Element[]): void {
  for (const [index, child] of children.entries()) {
    const current = parent.children[index]
    if (current !== child) parent.insertBefore(child, current ?? null)
  }
  while (parent.children.length > children.length) parent.lastElementChild?.remove()
}

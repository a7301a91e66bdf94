/** The ways to add files without pressing a button: drop them, paste them, or click the drop area. */
import { find } from './dom.ts'
import { droppedFiles, type Chosen } from './file-picker.ts'

/** What happens to the files. */
interface DropListener {
  readonly onFiles: (files: readonly Chosen[]) => void
  /** Called with a sentence if the files can't be read. */
  readonly onProblem: (text: string) => void
}

/**
 * Name that Chromium and Firefox give to each pasted picture, for example a screenshot. A second one
 * would clash with the first one on the server.
 */
const PASTED = 'image.png'

/** Accepts files that are dropped or pasted anywhere on the page, and clicks into the drop area. */
export function acceptFiles(listener: DropListener): void {
  takeDrops(listener)
  takePastes(listener)
  takeClicks()
}

function takeDrops(listener: DropListener): void {
  // The browser also dispatches these events at the borders of elements inside the page. Counting them
  // shows when the pointer has left the page itself.
  let depth = 0
  const mark = (change: number): void => {
    depth = change === 0 ? 0 : depth + change
    document.body.classList.toggle('dragging', depth > 0)
  }
  addEventListener('dragenter', () => mark(1))
  addEventListener('dragleave', () => mark(-1))
  addEventListener('dragover', (event) => event.preventDefault())
  addEventListener('drop', (event) => {
    event.preventDefault()
    mark(0)
    if (event.dataTransfer !== null) read(event.dataTransfer, listener, listener.onFiles)
  })
}

function takePastes(listener: DropListener): void {
  addEventListener('paste', (event) => {
    const { clipboardData } = event
    // Pasted text belongs to the search field, so that its event has to keep its default action.
    if (clipboardData === null || clipboardData.files.length === 0) return
    event.preventDefault()
    const now = new Date()
    read(clipboardData, listener, (files) =>
      listener.onFiles(
        files.map((each) => (each.key === PASTED ? { ...each, key: nameAt(now) } : each)),
      ),
    )
  })
}

/**
 * Opens the file dialog on a click beside the buttons. It is a shortcut for the mouse only, because the
 * keyboard reaches the buttons, and a screen reader would announce the area as one more control.
 */
function takeClicks(): void {
  const area = find(document, '.drop', HTMLElement)
  const input = find(area, 'input', HTMLInputElement)
  area.addEventListener('click', ({ target }) => {
    // The buttons are labels, and the browser dispatches a second click at the input of a label.
    const isControl = target instanceof Element && target.closest('label, input') !== null
    // A drag that selects some text of the area ends with a click, too.
    if (!isControl && getSelection()?.isCollapsed !== false) input.click()
  })
}

function read(
  data: DataTransfer,
  { onProblem }: DropListener,
  onFiles: (files: readonly Chosen[]) => void,
): void {
  droppedFiles(data).then(onFiles, () => {
    onProblem('The files could not be read. Use the button to choose them.')
  })
}

/** Returns the name of a picture that was pasted at this time, as `pasted 2026-05-03 14.05.10.png`. */
function nameAt(now: Date): string {
  const local = new Date(now.getTime() - now.getTimezoneOffset() * 60_000).toISOString()
  // A colon is not allowed in a name on Windows, where the file may be downloaded.
  return `pasted ${local.slice(0, 19).replace('T', ' ').replaceAll(':', '.')}.png`
}

/** Connects the parts of the page: the inputs, the uploads, the list of files and the announcements. */
import { Announcer } from './announcer.ts'
import { find, setText } from './dom.ts'
import { FilesSection } from './files-section.ts'
import { formatCount, formatPercent } from './format.ts'
import { chosenFiles, droppedFiles, type Chosen } from './file-picker.ts'
import { Listing } from './listing.ts'
import type { UploadItem } from './upload-item.ts'
import { Unsent } from './unsent.ts'
import { Uploads } from './uploads.ts'
import { sumUp, UploadsSection } from './uploads-section.ts'
import { describe } from './labels.ts'

const TITLE = document.title
/** Interval at which remaining times and rates are shown anew, in milliseconds. */
const TICK = 500

const announcer = new Announcer(find(document, '[role=status]', HTMLElement))
const announced = new WeakMap<UploadItem, string>()
const uploads = new Uploads({ onChange: follow, onDrop: forget })
const uploadsSection = new UploadsSection(uploads)
const unsent = new Unsent()
const trouble = find(document, '.trouble', HTMLElement)
const again = find(document, '#again', HTMLInputElement)
const filesSection = new FilesSection({
  onResume: (key) => chooseAgain(key),
  onDelete: (key) => {
    announcer.say(`${key} is deleted.`)
    uploads.forget(key)
    listing.refreshSoon()
  },
})
const listing = new Listing(onListing)
let wasReachable = true
let isScheduled = false
/** The path on the server of the incomplete file that the user chooses again. */
let wanted = ''

for (const input of document.querySelectorAll<HTMLInputElement>('.drop input')) {
  input.addEventListener('change', () => {
    add(chosenFiles(input.files ?? []))
    // Without this the browser dispatches no event if the user chooses the same file once more.
    input.value = ''
  })
}
again.addEventListener('change', () => {
  for (const file of again.files ?? []) add([{ key: wanted, file }])
  again.value = ''
})
takeDrops()
addEventListener('beforeunload', (event) => {
  if (uploads.items.some(({ isActive }) => isActive)) event.preventDefault()
})
setInterval(render, TICK)
void listing.refresh()

/** Starts the uploads of files. */
function add(chosen: readonly Chosen[]): void {
  setText(trouble, '')
  if (chosen.length === 0) {
    complain('The folder contains no files.')
    return
  }
  uploads.add(chosen)
  announcer.say(`${formatCount(chosen.length)} added.`)
  renderAll()
}

/** Shows a problem that does not belong to an upload in the list. */
function complain(text: string): void {
  setText(trouble, text)
  announcer.say(text)
}

/**
 * Lets the user choose a file to resume the incomplete file `key`. The upload gets this name, even if
 * the local file has been renamed.
 */
function chooseAgain(key: string): void {
  wanted = key
  again.click()
}

/** Accepts files that are dropped anywhere on the page. */
function takeDrops(): void {
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
    if (event.dataTransfer === null) return
    droppedFiles(event.dataTransfer).then(add, () => {
      complain('The dropped files could not be read. Use the button to choose them.')
    })
  })
}

/** Shows a change of an upload in the next frame, so that many changes cost one rendering. */
function follow(item: UploadItem): void {
  if (!isScheduled) requestAnimationFrame(render)
  isScheduled = true
  announce(item)
}

/**
 * Called when an upload leaves the list. Its stored part then appears among the files on the server.
 */
function forget(): void {
  renderAll()
  listing.refreshSoon()
}

/**
 * Announces a new state of an upload to screen readers, if the user has to know it or to decide
 * something. Progress is not announced, because it would interrupt the user all the time.
 */
function announce(item: UploadItem): void {
  const { key, state } = item
  if (announced.get(item) === state.kind) return
  announced.set(item, state.kind)
  renderFiles()
  if (state.kind === 'done') {
    announcer.complete(key)
    listing.refreshSoon()
  }
  if (['clash', 'failed', 'stopped', 'elsewhere'].includes(state.kind)) {
    announcer.say(`${key}: ${describe(item, performance.now())}`.replace(/[^?]$/, '$&.'))
  }
}

/** Handles a new list of files. */
function onListing({ files, isReachable }: Listing): void {
  const complete = new Set(files?.flatMap((file) => (file.complete ? [file.key] : [])))
  for (const item of uploads.items) {
    // The server answers again, or another client has finished the file. Waiting for the next attempt
    // is unnecessary.
    if (isReachable && (!wasReachable || complete.has(item.key))) item.hurry()
  }
  if (isReachable !== wasReachable) {
    announcer.say(isReachable ? 'The server answers again.' : 'The server can not be reached.')
  }
  wasReachable = isReachable
  renderAll()
}

function renderAll(): void {
  render()
  renderFiles()
}

function renderFiles(): void {
  filesSection.render(listing, (file) => uploads.covers(file, listing.askedAt))
}

function render(): void {
  isScheduled = false
  uploadsSection.render(performance.now())
  const waiting = uploads.items.filter((item) => item.hasNotBegun)
  unsent.update(
    waiting.map(({ key }) => key),
    uploads.items.map(({ key }) => key),
  )
  const active = uploads.items.filter(({ isActive }) => isActive)
  const { sent, size } = sumUp(active)
  document.title = active.length === 0 ? TITLE : `${formatPercent(sent, size)} · ${TITLE}`
}

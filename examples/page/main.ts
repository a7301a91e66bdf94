/** Connects the parts of the page: the inputs, the uploads, the list of files and the announcements. */
import { Announcer } from './announcer.ts'
import { find, setText } from './dom.ts'
import { FilesSection } from './files-section.ts'
import { formatCount, formatPercent } from './format.ts'
import { acceptFiles } from './drop-area.ts'
import { chosenFiles, type Chosen } from './file-picker.ts'
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
/** The last announced state of each upload. */
const announced = new WeakMap<UploadItem, string>()
const uploads = new Uploads({ onChange: follow, onDrop: forget })
const uploadsSection = new UploadsSection(uploads)
const unsent = new Unsent()
const trouble = find(document, '.trouble', HTMLElement)
const again = find(document, '#again', HTMLInputElement)
const filesSection = new FilesSection({
  onResume: (key) => chooseAgain(key),
  onDelete: (key) => {
    announcer.sayOf(key, 'deleted')
    uploads.forget(key)
    listing.refreshSoon()
  },
  onSay: (text) => announcer.say(text),
})
const listing = new Listing(onListing)
/** Whether the server has answered the request for the list before the last one. */
let wasReachable = true
/** Whether the next frame renders the uploads, and whether it renders the files, too. */
let isScheduled = false
let areFilesStale = false
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
acceptFiles({ onFiles: add, onProblem: complain })
// The browser asks before it leaves the page, if uploads run or wait. The user has already stopped the
// others, and can resume them later by choosing the same files.
addEventListener('beforeunload', (event) => {
  if (uploads.items.some(({ isActive }) => isActive)) event.preventDefault()
})
// This also renders a page in the background, in which the browser draws no frames.
setInterval(render, TICK)
void listing.refresh()

/** Starts the uploads of files. They begin at once, because choosing or dropping them is the decision. */
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

/** Shows a change of an upload in the next frame, so that many changes cost one rendering. */
function follow(item: UploadItem): void {
  announce(item)
  if (!isScheduled) requestAnimationFrame(render)
  isScheduled = true
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
  // Most changes are progress, and leave the state as it is.
  if (announced.get(item) === state.kind) return
  announced.set(item, state.kind)
  areFilesStale = true
  if (state.kind === 'done') {
    announcer.sayOf(key, 'complete')
    listing.refreshSoon()
  }
  if (['clash', 'failed', 'stopped', 'elsewhere'].includes(state.kind)) {
    // At a full stop a screen reader pauses before the next sentence.
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

/** Shows everything now. */
function renderAll(): void {
  areFilesStale = true
  render()
}

/** Shows the uploads, and if they may cover other files than before, the files on the server. */
function render(): void {
  isScheduled = false
  uploadsSection.render(performance.now())
  if (areFilesStale) filesSection.render(listing, uploads.coverage(listing.askedAt))
  areFilesStale = false
  const { items } = uploads
  unsent.update(
    items.filter((item) => item.hasNotBegun).map(({ key }) => key),
    items.map(({ key }) => key),
  )
  // The title shows the progress while the user works in another tab.
  const active = items.filter(({ isActive }) => isActive)
  const { sent, size } = sumUp(active)
  document.title = active.length === 0 ? TITLE : `${formatPercent(sent, size)} · ${TITLE}`
}

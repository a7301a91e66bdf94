/** The page: ties what a person does to the uploads, and what happens to what is seen. */
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
/** Interval at which times are updated, in milliseconds. */
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
/** The path of the file that is being chosen to resume. */
let wanted = ''

for (const input of document.querySelectorAll<HTMLInputElement>('.drop input')) {
  input.addEventListener('change', () => {
    add(chosenFiles(input.files ?? []))
    // The same file can be chosen once more.
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

/** Reports what went wrong before there was an upload to show it with. */
function complain(text: string): void {
  setText(trouble, text)
  announcer.say(text)
}

/** An incomplete file resumes under its name on the server, even if the local file has another one. */
function chooseAgain(key: string): void {
  wanted = key
  again.click()
}

function takeDrops(): void {
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

function follow(item: UploadItem): void {
  if (!isScheduled) requestAnimationFrame(render)
  isScheduled = true
  announce(item)
}

/** What has arrived of it is to be seen among the files of the server. */
function forget(): void {
  renderAll()
  listing.refreshSoon()
}

/** Says what a person has to know or to decide; progress can be read at any time. */
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

function onListing({ files, isReachable }: Listing): void {
  const complete = new Set(files?.flatMap((file) => (file.complete ? [file.key] : [])))
  for (const item of uploads.items) {
    // The server answers again, or another upload has finished the file: the next try can start now.
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

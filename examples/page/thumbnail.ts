/** The picture at the start of a row: a small version of an image, or an icon for the type of the file. */
import { find } from './dom.ts'

/**
 * Extensions for each icon of index.html. The page has only names: the list of the server has no types,
 * and the system may not know the type of a local file.
 */
const EXTENSIONS = {
  image: 'avif bmp gif heic jpeg jpg png svg tif tiff webp',
  video: 'avi m4v mkv mov mp4 mpeg mpg webm',
  audio: 'aac flac m4a mp3 oga ogg opus wav',
  text: 'csv doc docx html json log md odt pdf ppt pptx rtf txt xls xlsx xml',
  archive: '7z bz2 deb dmg gz iso rar tar tgz xz zip zst',
}
const ICONS = new Map(
  Object.entries(EXTENSIONS).flatMap(([icon, list]) =>
    list.split(' ').map((extension) => [extension, icon] as const),
  ),
)
/** Images that all browsers decode, and that can't contain scripts or references. */
const SHOWABLE = /\.(avif|gif|jpe?g|png|webp)$/i
/**
 * Largest image of the server that is downloaded for its thumbnail, in bytes. The server makes no
 * smaller versions, so that the thumbnail of a photo would cost several megabytes.
 */
const SMALL = 200_000
/** Largest local image that is decoded, in bytes. Decoded, it may take 30 times as much memory. */
const DECODABLE = 20_000_000
/** Width of the decoded thumbnail in pixels: twice that of the element, for screens of high density. */
const WIDTH = 80

/**
 * Images are decoded one after the other, because many large ones at the same time would use up the
 * memory and delay the uploads.
 */
let decoding: Promise<void> = Promise.resolve()

/** Shows the picture of one file. Screen readers skip it, because the name follows. */
export class Thumbnail {
  readonly #root: HTMLElement
  readonly #icon: SVGElement
  readonly #use: SVGUseElement
  #shown = ''

  constructor(row: Element) {
    this.#root = find(row, '.thumbnail', HTMLElement)
    this.#icon = find(this.#root, 'svg', SVGElement)
    this.#use = find(this.#icon, 'use', SVGUseElement)
  }

  /**
   * Shows a file of this device. The image is decoded into a bitmap, and not shown by a `blob:` URL,
   * which the Content-Security-Policy of the page would have to allow.
   */
  showFile(file: File): void {
    this.#showIcon(file.name)
    if (!SHOWABLE.test(file.name) || file.size > DECODABLE) return
    decoding = decoding.then(async () => this.#draw(file))
  }

  /** Shows a file of the server. `version` changes if the file may have other bytes than before. */
  showUrl(url: string, name: string, size: number, version: string): void {
    if (this.#shown === version) return
    this.#shown = version
    this.#showIcon(name)
    if (!SHOWABLE.test(name) || size > SMALL) return
    const image = new Image()
    // Only images near the visible part of the page are downloaded.
    image.loading = 'lazy'
    image.alt = ''
    image.addEventListener('error', () => this.#showIcon(name))
    // The server ignores the query. Without it, the browser would show the image of the replaced file
    // again, because a page loads the same URL only once (HTML, "list of available images").
    image.src = `${url}?${encodeURIComponent(version)}`
    this.#root.replaceChildren(image)
  }

  #showIcon(name: string): void {
    const extension = name.split('.').at(-1)?.toLowerCase() ?? ''
    this.#use.setAttribute('href', `#icon-${ICONS.get(extension) ?? 'file'}`)
    this.#root.replaceChildren(this.#icon)
  }

  /** Best effort: a file that can't be decoded keeps its icon, although it may be uploaded. */
  async #draw(file: File): Promise<void> {
    const bitmap = await createImageBitmap(file, { resizeWidth: WIDTH }).catch(() => null)
    if (bitmap === null) return
    const canvas = document.createElement('canvas')
    canvas.width = bitmap.width
    canvas.height = bitmap.height
    canvas.getContext('bitmaprenderer')?.transferFromImageBitmap(bitmap)
    this.#root.replaceChildren(canvas)
  }
}

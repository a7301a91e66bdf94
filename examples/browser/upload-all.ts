/**
 * Uploads all files of an `<input type="file" multiple>` to `/files/`, four at a time, with one
 * `<progress>` for all.
 *
 * Bundle it into a page with such elements, and call `uploadAllFrom`. When the user chooses files, the
 * upload begins. The `<output>` shows `all files are uploaded` at the end, or the error.
 */
import { uploadAll } from 'partial-upload/client/upload-all'

export function uploadAllFrom(
  input: HTMLInputElement,
  bar: HTMLProgressElement,
  output: HTMLOutputElement,
): void {
  async function send(): Promise<void> {
    const uploads = uploadAll(input.files ?? [], {
      url: '/files/',
      onProgress: ({ sent, size }) => (bar.value = size ? sent / size : 1),
    })
    output.value = await uploads.done.then(() => 'all files are uploaded', String)
  }
  input.addEventListener('change', () => void send())
}

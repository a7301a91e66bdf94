/** Uploads all files of an `<input type="file" multiple>` to `/files/`, with one progress bar. */
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

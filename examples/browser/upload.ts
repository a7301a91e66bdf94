/**
 * Uploads the file of an `<input type="file">` to `/files/`, and shows the progress in a `<progress>`.
 *
 * Bundle it into a page with such elements, and call `uploadFrom`. When the user chooses a file, the
 * upload begins. The `<output>` shows `NAME is uploaded` at the end, or the error.
 */
import { upload } from 'partial-upload/client'

export function uploadFrom(
  input: HTMLInputElement,
  bar: HTMLProgressElement,
  output: HTMLOutputElement,
): void {
  async function send(): Promise<void> {
    const [file] = input.files ?? []
    if (file === undefined) return
    const { done } = upload(`/files/${encodeURIComponent(file.name)}`, file, {
      onProgress: ({ sent }) => (bar.value = sent / file.size),
    })
    output.value = await done.then(() => `${file.name} is uploaded`, String)
  }
  input.addEventListener('change', () => void send())
}

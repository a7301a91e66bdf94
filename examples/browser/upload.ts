/** Uploads the file of an `<input type="file">` to `/files/`, and shows how far it is. */
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

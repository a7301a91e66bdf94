/** A file input and a progress bar in React: `<Upload folder="/files/" />`. */
import { upload, type Progress } from 'partial-upload/client'
import { useState } from 'react'

export function Upload({ folder }: { readonly folder: string }) {
  const [progress, setProgress] = useState<Progress>()
  const [message, setMessage] = useState('')

  function start(file: File | undefined): void {
    if (file === undefined) return
    const url = folder + encodeURIComponent(file.name)
    const { done } = upload(url, file, { onProgress: setProgress })
    done.then(
      () => setMessage(`${file.name} is uploaded`),
      (error: unknown) => setMessage(String(error)),
    )
  }

  return (
    <>
      <input type="file" onChange={(event) => start(event.currentTarget.files?.[0])} />
      <progress value={progress?.sent ?? 0} max={progress?.size ?? 1} />
      <output>{message}</output>
    </>
  )
}

/**
 * A component of React that uploads files: a file input, and for each file a progress bar and a button
 * that pauses or resumes it.
 *
 * Render `<Upload folder="/files/" />`. Chosen files begin at once, four at a time. A file that has
 * failed shows its error, and a button for trying again.
 */
import { useUploads } from 'partial-upload/react'

export function Upload({ folder }: { readonly folder: string }) {
  const { files, add, retry } = useUploads({ url: folder })

  return (
    <>
      <input
        type="file"
        aria-label="Files"
        multiple
        onChange={(event) => add(event.currentTarget.files ?? [])}
      />
      {files.map(({ file, url, status, progress, pause, resume }) => (
        <p key={url}>
          <progress aria-label={file.name} value={progress.sent} max={progress.size ?? 1} />
          <button onClick={status.state === 'paused' ? resume : pause}>
            {status.state === 'paused' ? 'Resume' : 'Pause'}
          </button>
          <output>
            {status.state === 'done' && `${file.name} is uploaded`}
            {status.state === 'failed' && String(status.error)}
          </output>
        </p>
      ))}
      {files.some(({ status }) => status.state === 'failed') && (
        <button onClick={retry}>Try again</button>
      )}
    </>
  )
}

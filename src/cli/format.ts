/** Numbers and names as a person reads them. */

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB']

/** `512 bytes`, `4.2 MB`, `120 GB`. */
export function formatSize(size: number): string {
  let unit = 0
  let value = size
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${value.toFixed(unit > 0 && value < 9.95 ? 1 : 0)} ${UNITS[unit]}`
}

/** `0:07`, `12:30`, `1:02:03`. */
export function formatTime(seconds: number): string {
  const all = Math.round(seconds)
  const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60]
  const tail = `${String(minutes).padStart(hours > 0 ? 2 : 1, '0')}:${String(rest).padStart(2, '0')}`
  return hours > 0 ? `${hours}:${tail}` : tail
}

/**
 * Text that can't steer a terminal: file names and the words of a server may hold anything. Line
 * breaks go too, since every message is one line.
 */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '�')
}

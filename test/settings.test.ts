import { partialUpload } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import { describe, expect, it } from 'vitest'

import { OPTIONS, PRESETS, isUnassigned, resolveSettings } from '../src/settings.ts'

const storage = memoryStorage()
/** The defaults of the settings that do not depend on the preset. */
const DEFAULTS = Object.fromEntries(
  Object.entries(OPTIONS).flatMap(([name, row]) =>
    'default' in row && name !== 'preset' ? [[name, row.default]] : [],
  ),
)

describe('settings', () => {
  it('are the defaults where nothing is given', () => {
    expect(resolveSettings({ storage })).toEqual({
      ...PRESETS.seed,
      ...DEFAULTS,
      repeatsIfNoneMatch: false,
    })
  })

  it('are the defaults where undefined is given', () => {
    const given = { storage, maxSize: undefined, preset: undefined, onCreate: undefined }

    const settings = resolveSettings(given as unknown as Parameters<typeof resolveSettings>[0])

    expect(settings).toEqual({ ...PRESETS.seed, ...DEFAULTS, repeatsIfNoneMatch: false })
  })

  it.each([
    ['seed', 202, 299, 201, 204],
    ['2019-06', 299, 299, 201, 200],
    ['ietf', 200, 200, 200, 200],
  ] as const)(
    'of the preset %s answer %i, %i, %i and %i',
    (preset, segmentStatus, incompleteStatus, createdStatus, modifiedStatus) => {
      expect(resolveSettings({ storage, preset })).toMatchObject({
        segmentStatus,
        incompleteStatus,
        createdStatus,
        modifiedStatus,
        gapStatus: 409,
      })
    },
  )

  it('are the given values, even with a preset', () => {
    const given = { segmentStatus: 204, maxSize: 5, put: false }

    const settings = resolveSettings({ storage, preset: 'ietf', ...given })

    expect(settings).toEqual({
      ...PRESETS.ietf,
      ...DEFAULTS,
      repeatsIfNoneMatch: true,
      ...given,
    })
  })
})

describe('an option', () => {
  it.each([
    ['segmentStatus', 200],
    ['segmentStatus', 204],
    ['segmentStatus', 299],
    ['incompleteStatus', 200],
    ['incompleteStatus', 209],
    ['incompleteStatus', 225],
    ['incompleteStatus', 227],
    ['createdStatus', 200],
    ['createdStatus', 204],
    ['modifiedStatus', 200],
    ['gapStatus', 400],
    ['gapStatus', 416],
    ['gapStatus', 422],
    ['maxSize', 0],
    ['maxSize', Number.MAX_SAFE_INTEGER],
    ['maxParts', 1],
    ['put', false],
    ['put', 'persist'],
    ['finished', 'immutable'],
    ['lockTimeout', 0],
    ['idleTimeout', 0],
    ['idleTimeout', 2 ** 31 - 1],
    ['exposeIncomplete', false],
    ['minRate', 0],
    ['expireAfter', 2 ** 40],
    ['contentSecurityPolicy', ''],
    ['contentSecurityPolicy', "default-src 'none'"],
  ])('%s can be %s', (name, value) => {
    expect(resolveSettings({ storage, [name]: value })).toMatchObject({ [name]: value })
  })

  it.each([
    ['segmentStatus', 201],
    ['segmentStatus', 206],
    ['segmentStatus', 226],
    ['segmentStatus', 308],
    ['incompleteStatus', 202],
    ['incompleteStatus', 204],
    ['incompleteStatus', 206],
    ['incompleteStatus', 208],
    ['incompleteStatus', 226],
    ['incompleteStatus', 300],
    ['incompleteStatus', 299.5],
    ['incompleteStatus', '299'],
    ['createdStatus', 202],
    ['modifiedStatus', 201],
    ['gapStatus', 404],
    ['contentSecurityPolicy', null],
    ['contentSecurityPolicy', 'sandbox\r\nX: y'],
    ['contentSecurityPolicy', 'ä'],
    ['minRate', -1],
    ['maxUploads', 0.5],
    ['maxSize', -1],
    ['maxSize', 1.5],
    ['maxSize', Number.NaN],
    ['maxSize', Number.POSITIVE_INFINITY],
    ['maxSize', 2 ** 53],
    ['maxSize', '1024'],
    ['maxSize', null],
    ['maxParts', 0],
    ['maxPartHeaderSize', 0],
    ['maxRanges', 0],
    ['maxParts', true],
    ['lockTimeout', -1],
    ['lockTimeout', 2 ** 31],
    ['idleTimeout', 2 ** 31],
    ['put', 1],
    ['put', null],
    ['put', 'atomic'],
    ['finished', true],
    ['exposeIncomplete', 'no'],
    ['preset', 'rufh'],
    ['preset', 'toString'],
    ['preset', null],
    ['locker', {}],
    ['key', 'uploads'],
    ['owner', 'ann'],
    ['onCreate', true],
    ['onComplete', {}],
    ['storage', null],
    ['storage', './uploads'],
    ['storage', {}],
  ])('%s is refused at set-up as %s, by name', (name, value) => {
    const create = () => partialUpload({ storage, [name]: value })

    expect(create).toThrow(TypeError)
    expect(create).toThrow(name)
  })

  it.each(['maxUploadsPerOwner', 'maxIncompletePerOwner', 'maxIncompleteBytesPerOwner'])(
    '%s is refused at set-up without owner',
    (name) => {
      expect(() => partialUpload({ storage, [name]: 1 })).toThrow(`${name} needs owner`)
      expect(() => partialUpload({ storage, [name]: 1, owner: () => 'ann' })).not.toThrow()
    },
  )

  it.each(['maxIncompletePerOwner', 'maxIncompleteBytesPerOwner', 'expireAfter'])(
    '%s is refused at set-up for a storage that can not list uploads',
    (name) => {
      const unlisted = memoryStorage()
      Reflect.deleteProperty(unlisted, 'listIncomplete')
      const options = { storage: unlisted, owner: () => 'ann', [name]: 60_000 }

      expect(() => partialUpload(options)).toThrow(`${name} needs a storage with listIncomplete()`)
    },
  )

  it('that does not exist is refused at set-up, by name', () => {
    const options = { storage, maxsize: 5 }

    expect(() => partialUpload(options)).toThrow(new TypeError('maxsize is not an option'))
  })

  it.each([
    ['allowPut', 'put'],
    ['keepInterruptedPut', "put: 'persist'"],
    ['allowTruncate', "finished: 'same-length'"],
    ['allowReopen', "finished: 'same-length'"],
    ['immutableAfterComplete', "finished: 'immutable'"],
    ['continuationIgnoresIfNoneMatchStar', "preset: 'ietf'"],
    ['stallTimeout', 'lockTimeout'],
    ['lockWait', 'lockTimeout'],
    ['maxContentLength', 'maxSize, maxParts and maxPartHeaderSize'],
    ['bufferSize', 'nothing, because it is 64 KiB now'],
  ])('that was named %s is refused with its successor %s', (name, successor) => {
    const options = { storage, [name]: true }

    expect(() => partialUpload(options)).toThrow(`${name} is not an option: use ${successor}`)
  })
})

describe('an unassigned 2xx status', () => {
  it('is one that IANA has given no meaning', () => {
    const unassigned = Array.from({ length: 600 }, (_, status) => status).filter(isUnassigned)

    expect([unassigned[0], unassigned.at(-1), unassigned.length]).toEqual([209, 299, 90])
    expect(unassigned).not.toContain(226)
  })
})

import t from 'tap'
import { blobFolder, digestOfBlobFolder, digestOfLink } from '../../src/storage/layout.ts'

const HEX = 'ab'.repeat(32)
const LONG = 'cd'.repeat(64)

t.test('the folder of a blob is that of distribution, and leads back to the digest', async (t) => {
  for (const [digest, folder] of [
    [`sha256:${HEX}`, `sha256/ab/${HEX}`],
    [`sha512:${LONG}`, `sha512/cd/${LONG}`],
  ] as const) {
    t.equal(blobFolder(digest), folder)
    t.equal(digestOfBlobFolder(folder), digest)
  }
})

t.test('a string that is no digest has no folder', async (t) => {
  const hostile = [
    '',
    'sha256:',
    `sha256:${HEX}/../../..`,
    `sha256:../${HEX.slice(3)}`,
    `sha256:${HEX.toUpperCase()}`,
    `sha512:${HEX}`,
    `../sha256:${HEX}`,
    `sha256:${HEX}\0`,
    `sha256:${HEX}\n`,
  ]
  for (const text of hostile) t.throws(() => blobFolder(text), /is not a digest/, JSON.stringify(text))
})

t.test('only folders of blobs are listed as blobs', async (t) => {
  for (const folder of [
    `sha256/ab`,
    `sha256/aa/${HEX}`,
    `md5/ab/${HEX}`,
    `sha256/ab/${HEX}/data`,
    `sha256//${HEX}`,
  ])
    t.equal(digestOfBlobFolder(folder), undefined, folder)
})

t.test('a link names a digest or nothing', async (t) => {
  t.equal(digestOfLink(`sha256:${HEX}\n`), `sha256:${HEX}`)
  t.equal(digestOfLink('somewhere else'), undefined)
})

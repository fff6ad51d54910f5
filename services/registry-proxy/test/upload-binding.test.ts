import t from 'tap'
import { bindUpload, isBound } from '../src/upload-binding.ts'

const SECRET = 'one secret'
const upload = { repository: 'team/app', id: 'upload-1', uid: 'uid-alice' }
const binding = bindUpload(SECRET, upload)

t.test('a binding is valid for its upload and its account', async (t) => {
  t.ok(isBound(SECRET, upload, binding))
  t.equal(bindUpload(SECRET, { ...upload }), binding, 'the same on every replica')
  t.match(binding, /^[\w-]{43}$/, 'needs no escaping in a query')
})

const OTHERS: readonly [string, typeof upload][] = [
  ['another account', { ...upload, uid: 'uid-bob' }],
  ['another repository', { ...upload, repository: 'team/other' }],
  ['another upload', { ...upload, id: 'upload-2' }],
  ['fields that only join to the same text', { ...upload, repository: 'team/appupload-1', id: '' }],
]

for (const [what, other] of OTHERS) {
  t.test(`an upload binding is not valid for ${what}`, async (t) => t.notOk(isBound(SECRET, other, binding)))
}

const GARBLED: readonly [string, string | undefined][] = [
  ['no binding', undefined],
  ['an empty binding', ''],
  ['a truncated binding', binding.slice(0, -1)],
  ['a longer binding', `${binding}A`],
  ['a binding with a changed character', (binding.startsWith('A') ? 'B' : 'A') + binding.slice(1)],
  ['a binding by another secret', bindUpload('another secret', upload)],
  ['characters of several bytes', 'é'.repeat(43)],
]

for (const [what, given] of GARBLED) {
  t.test(`${what} is not valid`, async (t) => t.notOk(isBound(SECRET, upload, given)))
}

import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { madeSecret, takeDataFolder } from '../data-folder.ts'
import { changeMode, freeNameBeside, makeFolder, readIfThere, writeNewFile } from '../own-files.ts'

const NOBODY = 65_534
const notRoot = process.getuid?.() !== 0 && 'only root can start a program as another user'
const modeOf = (file: string) => statSync(file).mode & 0o777

/** Reads a file with cat(1), as the Unix user `nobody`. */
const catAsNobody = (file: string) =>
  spawnSync('setpriv', [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', 'cat', file], {
    encoding: 'utf8',
  })

t.test('an existing DATA_DIR that other users can read gets mode 0700', { skip: notRoot }, async (t) => {
  // Outside of the repository, whose parent folders may already keep other users out.
  const folder = mkdtempSync(join(tmpdir(), 'registry-manager-open-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  chmodSync(folder, 0o755)
  mkdirSync(join(folder, 'database'))
  writeFileSync(join(folder, 'database', 'postgres.log'), '$argon2id$v=19$a-hash', { mode: 0o644 })
  const log = join(folder, 'database', 'postgres.log')
  t.match(catAsNobody(log).stdout, 'argon2id', 'before the change, the Unix user nobody can read the hash')
  takeDataFolder(folder)()
  t.equal(modeOf(folder), 0o700)
  const { stdout, stderr } = catAsNobody(log)
  t.equal(stdout, '')
  t.match(stderr, 'Permission denied')
})

t.test('a DATA_DIR of another user is refused and keeps its mode', { skip: notRoot }, async (t) => {
  const folder = join(t.testdir({ theirs: { secrets: {} } }), 'theirs')
  chmodSync(folder, 0o777)
  chownSync(folder, NOBODY, NOBODY)
  const own = process.geteuid?.()
  t.throws(() => takeDataFolder(folder), {
    message: `DATA_DIR ${folder} cannot be used: it belongs to user ${NOBODY}, and this is user ${own}: run as its owner, or chown it`,
  })
  t.equal(modeOf(folder), 0o777)
  t.strictSame(readdirSync(folder), ['secrets'], 'the folder has no new files')
})

t.test('a folder of secrets that other users can read gets mode 0700 at its next use', async (t) => {
  const folder = t.testdir({ secrets: {} })
  chmodSync(join(folder, 'secrets'), 0o755)
  const { file, value } = madeSecret(folder, 'a-secret')
  t.equal(modeOf(join(folder, 'secrets')), 0o700)
  t.equal(modeOf(file), 0o600)
  t.equal(madeSecret(folder, 'a-secret').value, value, 'the secret is generated once')
})

t.test('a folder that contains other files is refused as DATA_DIR', async (t) => {
  const folder = t.testdir({ 'letters.txt': '', run: { 'keep.me': '' } })
  rmSync(join(folder, 'run'), { recursive: true })
  chmodSync(folder, 0o755)
  t.throws(() => takeDataFolder(folder), {
    message: /it holds other files, such as letters\.txt, and none of registry-manager/,
  })
  t.equal(modeOf(folder), 0o755)
  t.strictSame(readdirSync(folder), ['letters.txt'])
})

t.test('a folder with names of registry-manager and one other name is refused as DATA_DIR', async (t) => {
  const folder = t.testdir({ run: {}, lock: {}, tls: {}, images: {}, www: {} })
  chmodSync(folder, 0o755)
  t.throws(() => takeDataFolder(folder), { message: /it holds other files, such as www, and none of/ })
  t.equal(modeOf(folder), 0o755)
})

t.test('a data folder is accepted even if other files were added to it', async (t) => {
  const folder = t.testdir({ secrets: { 'service-credential': 'x' }, 'postgres.before': {}, 'notes.txt': '' })
  takeDataFolder(folder)()
  t.equal(modeOf(folder), 0o700)
})

t.test('a mounted disk that contains only lost+found counts as an empty folder', async (t) => {
  const folder = t.testdir({ 'lost+found': {}, '.keep': '' })
  takeDataFolder(folder)()
  t.equal(modeOf(folder), 0o700)
})

t.test('the error for a DATA_DIR that cannot be created names the folder and the reason', async (t) => {
  const file = join(t.testdir({ 'a-file': '' }), 'a-file')
  for (const [folder, reason] of [
    ['/proc/x', /^DATA_DIR \/proc\/x cannot be used: .*ENOENT/],
    ['/proc/x/y', /^DATA_DIR \/proc\/x\/y cannot be used: .*ENOENT/],
    [file, /a-file cannot be used: .*ENOTDIR/],
    [join(file, 'below'), /below cannot be used: .*ENOTDIR/],
  ] as const) {
    t.throws(() => takeDataFolder(folder), { message: reason }, folder)
  }
})

t.test('an existing secret is never replaced, even if it is empty or cannot be read', async (t) => {
  const folder = t.testdir({ secrets: { empty: '', folder: {} } })
  t.throws(() => madeSecret(folder, 'empty'), { message: /empty is empty: restore it, or remove it/ })
  t.throws(() => madeSecret(folder, 'folder'), { code: 'EISDIR' })
  symlinkSync('/nowhere/at/all', join(folder, 'secrets', 'link'))
  t.throws(() => madeSecret(folder, 'link'), { code: 'EEXIST' }, 'a dangling symbolic link is not followed')
  t.equal(readFileSync(join(folder, 'secrets', 'empty'), 'utf8'), '')
  t.strictSame(
    readdirSync(join(folder, 'secrets')).toSorted(),
    ['empty', 'folder', 'link'],
    'no temporary file remains',
  )
})

t.test('writeNewFile never replaces a file, and freeNameBeside finds a free name', async (t) => {
  const folder = t.testdir({ there: 'mine' })
  t.throws(() => writeNewFile(join(folder, 'there'), 'other'), { code: 'EEXIST' })
  t.equal(readIfThere(join(folder, 'there')), 'mine')
  writeNewFile(join(folder, 'new'), 'content', 0o644)
  t.equal(modeOf(join(folder, 'new')), 0o644)
  t.equal(freeNameBeside(join(folder, 'new')), join(folder, 'new.2'))
  t.equal(freeNameBeside(join(folder, 'other')), join(folder, 'other'))
})

t.test('changeMode does not follow symbolic links', async (t) => {
  const folder = t.testdir({ key: '' })
  chmodSync(join(folder, 'key'), 0o600)
  symlinkSync('key', join(folder, 'link'))
  t.throws(() => changeMode(join(folder, 'link'), 0o644), { code: 'ELOOP' })
  t.equal(modeOf(join(folder, 'key')), 0o600)
})

t.test('makeFolder creates missing parents, and folders with mode 0700', async (t) => {
  const folder = join(t.testdir(), 'a', 'b')
  makeFolder(folder)
  makeFolder(folder)
  t.ok(existsSync(folder))
  t.equal(modeOf(folder), 0o700)
})

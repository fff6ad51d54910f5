import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fchmodSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from 'node:constants'
import { basename, dirname, join } from 'node:path'

/** Names that an empty folder may hold: the folder of a mounted disk, and hidden files. */
const IGNORED = /^(?:lost\+found$|\.)/

/** How to recognize a folder of registry-manager. */
export interface FolderMarks {
  /** The names that the folder may hold. */
  readonly names: ReadonlySet<string>
  /** Files that only registry-manager creates. One of them identifies the folder, even among unknown files. */
  readonly proofs: readonly string[]
}

/**
 * Creates a folder for secrets, or takes an existing one, and sets mode 0700. Refuses a folder with other content: a
 * mistyped name must not close /var to every user. Throws an Error that says what is wrong.
 */
export function ensureOwnFolder(folder: string, { names, proofs }: FolderMarks): void {
  makeFolder(folder)
  const others = readdirSync(folder).filter((name) => !IGNORED.test(name) && !names.has(name))
  if (others.length > 0 && !proofs.some((proof) => existsSync(join(folder, proof)))) {
    throw new Error(
      `it holds other files, such as ${others[0]}, and none of registry-manager: name a new or an empty folder`,
    )
  }
  makePrivate(folder)
}

/**
 * Sets a folder's mode to 0700. Throws if the folder belongs to another user, who could read everything in it.
 */
export function makePrivate(folder: string): void {
  const descriptor = openSync(folder, O_RDONLY | O_DIRECTORY)
  try {
    const { uid, mode } = fstatSync(descriptor)
    const own = process.geteuid?.()
    if (own !== undefined && uid !== own) {
      throw new Error(`it belongs to user ${uid}, and this is user ${own}: run as its owner, or chown it`)
    }
    if ((mode & 0o777) !== 0o700) fchmodSync(descriptor, 0o700)
  } finally {
    closeSync(descriptor)
  }
}

/** Creates a file with all of its content at once. Throws EEXIST and changes nothing if the name is taken. */
export function writeNewFile(file: string, content: string, mode = 0o600): void {
  const temporary = temporaryName(file)
  try {
    writeFileSync(temporary, content, { mode: 0o600, flag: 'wx' })
    changeMode(temporary, mode)
    // Unlike rename(2), link(2) never replaces a file.
    linkSync(temporary, file)
  } finally {
    rmSync(temporary, { force: true })
  }
}

/** Replaces the content of a file atomically: a reader sees the old content or the new one. */
export function replaceOwnFile(file: string, content: string): void {
  const temporary = temporaryName(file)
  try {
    writeFileSync(temporary, content, { mode: 0o600, flag: 'wx' })
    renameSync(temporary, file)
  } finally {
    rmSync(temporary, { force: true })
  }
}

function temporaryName(file: string): string {
  return join(dirname(file), `.${basename(file)}.${randomBytes(6).toString('hex')}`)
}

/** Returns the content of a file; undefined if it does not exist. Throws every other error. */
export function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Sets a file's mode. Refuses a symbolic link, whose target may be any file. */
export function changeMode(file: string, mode: number): void {
  const descriptor = openSync(file, O_RDONLY | O_NOFOLLOW)
  try {
    fchmodSync(descriptor, mode)
  } finally {
    closeSync(descriptor)
  }
}

/** Returns an unused name in the folder of a file: the file's name, with a number if necessary. */
export function freeNameBeside(file: string): string {
  const taken = new Set(readdirSync(dirname(file)))
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? basename(file) : `${basename(file)}.${number}`
    if (!taken.has(name)) return join(dirname(file), name)
  }
}

/**
 * Like `mkdir -p`. Tries each level once, because Node's `recursive` never returns on a file system such as /proc,
 * where every mkdir fails with ENOENT.
 */
export function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return
    if (code !== 'ENOENT' || dirname(folder) === folder) throw error
    makeFolder(dirname(folder))
    mkdirSync(folder, { mode: 0o700 })
  }
}

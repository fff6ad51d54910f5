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

/** What a folder may hold and still be called empty: a mounted disk's own folder, and hidden files. */
const IGNORED = /^(?:lost\+found$|\.)/

/** How a folder of ours is told from another one. */
export interface FolderMarks {
  /** The names that it may hold. */
  readonly names: ReadonlySet<string>
  /** Files of which each alone proves that it is ours, whatever else was put there. */
  readonly proofs: readonly string[]
}

/**
 * Makes a folder that holds secrets, or takes the one that is there, for its owner alone (mode 0700). A folder that
 * holds something else is refused: a mistyped name must not close /var to everybody. Throws an Error that says what is
 * wrong.
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
 * Takes a folder's rights from everybody but its owner. Throws when the folder is somebody else's, who could read
 * everything that is written there.
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

/** Writes a new file whole, for its owner alone. Throws EEXIST, and changes nothing, where the name is taken. */
export function writeNewFile(file: string, content: string, mode = 0o600): void {
  const temporary = temporaryName(file)
  try {
    writeFileSync(temporary, content, { mode: 0o600, flag: 'wx' })
    changeMode(temporary, mode)
    // Unlike rename(2), link(2) never takes a name from a file that has it.
    linkSync(temporary, file)
  } finally {
    rmSync(temporary, { force: true })
  }
}

/** Puts new content into a file of ours at once: a reader sees the old content or the new one, never a part. */
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

/** What a file holds; undefined where there is none. Any other failure is thrown: the file is then left alone. */
export function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Sets a file's mode; a symbolic link is refused, because its target may lie anywhere. */
export function changeMode(file: string, mode: number): void {
  const descriptor = openSync(file, O_RDONLY | O_NOFOLLOW)
  try {
    fchmodSync(descriptor, mode)
  } finally {
    closeSync(descriptor)
  }
}

/** A name beside a file that nothing has yet: the file's own name with a number. */
export function freeNameBeside(file: string): string {
  const taken = new Set(readdirSync(dirname(file)))
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? basename(file) : `${basename(file)}.${number}`
    if (!taken.has(name)) return join(dirname(file), name)
  }
}

/**
 * Like mkdir -p, each level tried once: Node's own `recursive` never returns on a file system that answers ENOENT to
 * every mkdir, such as /proc.
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

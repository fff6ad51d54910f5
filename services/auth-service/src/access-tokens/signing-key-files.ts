import { existsSync } from 'node:fs'
import { mkdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createAuthority, issueLeaf, replaceFile } from './certificates.ts'
import { KEY_FILES } from './key-files.ts'

const [AUTHORITY_YEARS, LEAF_YEARS] = [10, 1]

/**
 * Makes an authority, a current and a next key in a folder that has none. Returns whether it did. An authority that is
 * there is used, never replaced. Throws naming the files of a folder that holds some keys without their authority.
 */
export async function createSigningKeys(folder: string): Promise<boolean> {
  const has = (name: string) => existsSync(join(folder, name))
  if (has(KEY_FILES.current)) return false
  await mkdir(folder, { recursive: true, mode: 0o700 })
  if (!(has(KEY_FILES.authority) && has(KEY_FILES.authorityKey))) {
    const present = Object.values(KEY_FILES).filter(has)
    if (present.length > 0) {
      throw new Error(
        `${folder} holds ${present.join(', ')} and no ${KEY_FILES.current}: restore the missing files, or empty it ` +
          'to have new signing keys made',
      )
    }
    const authority = await createAuthority('registry-manager token authority', AUTHORITY_YEARS)
    await replaceFile(folder, KEY_FILES.authorityKey, authority.key)
    await replaceFile(folder, KEY_FILES.authority, authority.certificate)
  }
  if (!has(KEY_FILES.next)) await replaceFile(folder, KEY_FILES.next, await issueSigner(folder))
  await replaceFile(folder, KEY_FILES.current, await issueSigner(folder))
  return true
}

/**
 * Moves every key on by one: current becomes retired, next becomes current, a new one next. Running services
 * notice by themselves; wait for a token's life between two rotations, or the first one's tokens end early.
 * Who could read the current key can read the new ones.
 */
export async function rotateSigningKeys(folder: string): Promise<void> {
  const [current, next] = await Promise.all(
    [KEY_FILES.current, KEY_FILES.next].map((name) => readFile(join(folder, name), 'utf8')),
  )
  const mode = await modeOfCurrent(folder)
  const coming = await issueSigner(folder)
  // Its certificate was made at the rotation before this one, and may be near its end; the key is known to everybody.
  const promoted = await issueSigner(folder, next)
  await replaceFile(folder, KEY_FILES.retired, current ?? '', mode)
  await replaceFile(folder, KEY_FILES.current, promoted, mode)
  await replaceFile(folder, KEY_FILES.next, coming, mode)
}

/**
 * Puts new keys in the place of all, for when one was stolen: whoever read one could read the others. What the old
 * ones signed is good no more.
 */
export async function replaceSigningKeys(folder: string): Promise<void> {
  const mode = await modeOfCurrent(folder)
  const [current, next] = [await issueSigner(folder), await issueSigner(folder)]
  // Retired is the same: no key from before, and a file where mounts and secrets expect one.
  await replaceFile(folder, KEY_FILES.retired, current, mode)
  await replaceFile(folder, KEY_FILES.current, current, mode)
  await replaceFile(folder, KEY_FILES.next, next, mode)
}

async function modeOfCurrent(folder: string): Promise<number> {
  return (await stat(join(folder, KEY_FILES.current))).mode & 0o777
}

/** A key, new unless one is given, and a certificate for it that begins now. */
async function issueSigner(folder: string, key?: string): Promise<string> {
  const authority = {
    certificate: await readFile(join(folder, KEY_FILES.authority), 'utf8'),
    key: await readFile(join(folder, KEY_FILES.authorityKey), 'utf8'),
  }
  const leaf = await issueLeaf(authority, {
    commonName: 'registry-manager token signer',
    years: LEAF_YEARS,
    ...(key !== undefined && { key }),
  })
  return `${leaf.key}\n${leaf.certificate}\n`
}

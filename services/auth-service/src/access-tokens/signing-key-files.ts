import { existsSync } from 'node:fs'
import { mkdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createAuthority, issueLeaf } from './certificates.ts'
import { replaceFile } from './replace-file.ts'
import { KEY_FILES } from './signing-keys.ts'

const [AUTHORITY_YEARS, LEAF_YEARS] = [10, 1]

/**
 * Makes an authority, a current and a next key in a folder that has none, and returns whether it did. Never replaces an
 * authority. Throws when a folder holds some of the keys without their authority; the error names the files.
 */
export async function createSigningKeys(folder: string): Promise<boolean> {
  const has = (name: string) => existsSync(join(folder, name))
  if (has(KEY_FILES.current)) return false
  await mkdir(folder, { recursive: true, mode: 0o700 })
  if (!(has(KEY_FILES.authority) && has(KEY_FILES.authorityKey))) {
    const present = Object.values(KEY_FILES).filter(has)
    if (present.length > 0) {
      throw new Error(
        `${folder} holds ${present.join(', ')} but no ${KEY_FILES.current}: restore the missing files, or empty the ` +
          'folder to get new signing keys',
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
 * Rotates by one: current becomes retired, next becomes current, and a new key becomes next. Running services reload
 * the keys by themselves. Wait for the life of an access token between two rotations; otherwise access tokens of the
 * first key are refused before they expire. After a theft use `replaceSigningKeys`: the thief has the next key as well.
 */
export async function rotateSigningKeys(folder: string): Promise<void> {
  const [current, next] = await Promise.all(
    [KEY_FILES.current, KEY_FILES.next].map((name) => readFile(join(folder, name), 'utf8')),
  )
  const mode = await modeOfCurrent(folder)
  const upcoming = await issueSigner(folder)
  // The certificate dates from the previous rotation and may expire soon; the key itself is published already.
  const promoted = await issueSigner(folder, next)
  await replaceFile(folder, KEY_FILES.retired, current ?? '', mode)
  await replaceFile(folder, KEY_FILES.current, promoted, mode)
  await replaceFile(folder, KEY_FILES.next, upcoming, mode)
}

/**
 * Replaces all keys after a theft: a thief who read one could read the others. Access tokens that the old keys signed
 * become invalid.
 */
export async function replaceSigningKeys(folder: string): Promise<void> {
  const mode = await modeOfCurrent(folder)
  const [current, next] = [await issueSigner(folder), await issueSigner(folder)]
  // Retired is a copy of current: no old key remains, and mounts and secrets find the file that they expect.
  await replaceFile(folder, KEY_FILES.retired, current, mode)
  await replaceFile(folder, KEY_FILES.current, current, mode)
  await replaceFile(folder, KEY_FILES.next, next, mode)
}

async function modeOfCurrent(folder: string): Promise<number> {
  return (await stat(join(folder, KEY_FILES.current))).mode & 0o777
}

/** Issues a certificate that is valid from now, for a given key or a new one. Returns both as PEM. */
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

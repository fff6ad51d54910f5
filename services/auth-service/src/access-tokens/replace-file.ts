import { chmod, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Replaces a file atomically: a reader sees the old content or the new one. By default only the owner may read it. */
export async function replaceFile(
  folder: string,
  name: string,
  content: string,
  mode = 0o600,
): Promise<void> {
  const temporary = join(folder, `.${name}.${process.pid}`)
  await writeFile(temporary, content, { mode: 0o600 })
  await chmod(temporary, mode)
  await rename(temporary, join(folder, name))
}

import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../deploy/local/free-port.ts'
import { respondsWith, startChild } from './child.ts'
import { temporaryFolder } from './cleanup.ts'

/** Starts a minimal Fastify server that answers every request with this number of bytes. Returns its URL. */
export async function startBareFastify(path: string, bytes: number): Promise<string> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  await startChild({
    name: 'a bare Fastify',
    command: process.execPath,
    args: [fileURLToPath(new URL('bare-fastify.ts', import.meta.url))],
    env: { PORT: String(port), BYTES: String(bytes) },
    log: join(await temporaryFolder(), 'log'),
    isReady: () => respondsWith(url + path),
  })
  return url
}

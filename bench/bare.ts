import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../deploy/local/free-port.ts'
import { answers, startChild } from './child.ts'
import { temporaryFolder } from './cleanup.ts'

/** Starts Fastify doing nothing but answering so many bytes of JSON. Answers its URL. */
export async function startBareFastify(path: string, bytes: number): Promise<string> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  await startChild({
    name: 'a bare Fastify',
    command: process.execPath,
    args: [fileURLToPath(new URL('bare-fastify.ts', import.meta.url))],
    env: { PORT: String(port), BYTES: String(bytes) },
    log: join(await temporaryFolder(), 'log'),
    isReady: () => answers(url + path),
  })
  return url
}

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { atEnd } from './cleanup.ts'
import type { Load, LoadResult } from './client/load.ts'
import type { Jobs } from './client/main.ts'
import type { Read, ReadResult } from './client/read.ts'
import type { Upload, UploadResult } from './client/upload.ts'

const CLIENT = fileURLToPath(new URL('client/main.ts', import.meta.url))

/** Sends requests from a separate process. The result has the number of failed requests. */
export async function load(job: Load): Promise<LoadResult> {
  return (await runClient({ load: job })) as LoadResult
}

/** Reads responses in a separate process and measures the time of each. Throws on the first failure. */
export async function read(job: Read): Promise<ReadResult> {
  return (await runClient({ read: job })) as ReadResult
}

/** Pushes a random blob from a separate process. Throws on failure. */
export async function upload(job: Upload): Promise<UploadResult> {
  return (await runClient({ upload: job })) as UploadResult
}

async function runClient(job: Jobs): Promise<unknown> {
  const child = fork(CLIENT, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  atEnd(() => child.kill('SIGKILL'))
  const exit = once(child, 'exit').then(([code]) => {
    throw new Error(`a client process ended with ${code}`)
  })
  child.send(job)
  const [response] = (await Promise.race([once(child, 'message'), exit])) as [
    { result?: unknown; error?: string },
  ]
  exit.catch(() => undefined)
  if (response.error !== undefined) throw new Error(response.error)
  return response.result
}

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, readdir, readlink } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { System } from './system.ts'
import { basic } from './system.ts'

/** Runs a launcher until it exits. */
export async function startAndEnd(program: string, env: Record<string, string>) {
  const child = spawn(process.execPath, [program], { env: { ...process.env, ...env }, stdio: 'pipe' })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  child.stdout.resume()
  const [code] = (await once(child, 'exit')) as [number | null]
  return { code, lines: stderr.trimEnd().split('\n') }
}

/**
 * Returns the processes that have a path below a folder in their arguments or environment, or as their log file (nginx
 * overwrites its arguments). This process is excluded.
 */
export async function processesNaming(folder: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  const describe = async (pid: string) => {
    const read = (file: string) => readFile(`/proc/${pid}/${file}`, 'utf8')
    const texts = [read('cmdline'), read('environ'), readlink(`/proc/${pid}/fd/2`)]
    return (await Promise.all(texts.map((text) => text.catch(() => '')))).join(' ')
  }
  const texts = await Promise.all(pids.map(describe))
  return pids.filter((_, index) => texts[index]?.includes(folder)).map(Number)
}

/** Starts an upload that continues until its connection ends. Returns once bytes flow. */
export async function startEndlessUpload(system: System): Promise<{ ended: Promise<unknown> }> {
  const headers = { authorization: basic(system.admin) }
  const begun = await fetch(`${system.url}/v2/team/app/blobs/uploads/`, { method: 'POST', headers })
  const over = new AbortController()
  let flows = () => {}
  const flowing = new Promise<void>((resolve) => (flows = resolve))
  let pieces = 0
  const endless = new ReadableStream({
    pull: async (controller) => {
      await sleep(5)
      pieces += 1
      if (pieces === 20) flows()
      if (over.signal.aborted) controller.close()
      else controller.enqueue(new Uint8Array(64 * 1024))
    },
  })
  const location = new URL(begun.headers.get('location') ?? '', system.url)
  const patch = { method: 'PATCH', headers, body: endless, duplex: 'half' } as RequestInit
  const ended = fetch(location, patch)
    .catch(() => 'broken off')
    // A response alone does not end the upload.
    .finally(() => over.abort())
  await flowing
  return { ended }
}
